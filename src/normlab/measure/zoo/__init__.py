"""The zoo: networks of other libraries, each converted, folded, audited and trained for a step."""
