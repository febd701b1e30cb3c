"""The rule for an audit: a share of a list that was fixed before anyone counted. Torch-free."""

from collections.abc import Mapping

from normlab.claims.rules import Finding
from normlab.records.verdict import PARTLY, REFUTED, SUPPORTED


def census(holds: Mapping[str, bool], share: float, unit: str = "of the list") -> Finding:
    """Does something hold for at least `share` of what is listed?

    Supported from `share`, partly supported from half, else refuted; where `share` is 1, every entry is meant, and one
    exception refutes it. All of the list is counted and nothing drawn, so there is no interval: the finding is about
    the list. What a list is a sample of is for `rules.rate`.

    Raises:
        ValueError: an empty list, or a share that is not between a half and 1.
    """
    if not holds or not 0.5 <= share <= 1:
        raise ValueError(
            f"{share} of a list of {len(holds)}: a share from 0.5 to 1, of at least one entry"
        )
    count, n = sum(holds.values()), len(holds)
    found = count / n
    verdict = SUPPORTED if found >= share else PARTLY if found >= 0.5 and share < 1 else REFUTED
    exceptions = ", ".join(name for name, yes in holds.items() if not yes)
    asked = "refuted below half" if share < 1 else "refuted by one exception"
    text = f"{count} of {n}{f', not {exceptions}' if exceptions else ''}; supported from {100 * share:g} %, {asked}"
    return Finding(verdict, found, None, None, unit, n, text)
