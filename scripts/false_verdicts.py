"""The shares of false verdicts in docs/evidence.md, simulated anew.

python scripts/false_verdicts.py takes some minutes of one core. What is simulated is said in
normlab.claims.false_verdicts.
"""

from pathlib import Path

from normlab.claims.false_verdicts import all_found, table
from normlab.records.files import write_atomically
from normlab.report.readme import put

PAGE = Path(__file__).resolve().parents[1] / "docs" / "evidence.md"
EXPERIMENTS = 10_000


def main() -> None:
    """Replace the block between the marks."""
    found = list(all_found(EXPERIMENTS))
    write_atomically(PAGE, put(PAGE.read_text(), {"false verdicts": f"\n{table(found)}\n"}))
    print(table(found))


if __name__ == "__main__":
    main()
