"""The verdict of a claim from those of its clauses."""

from collections.abc import Iterable

from normlab.records.verdict import INCONCLUSIVE, NO_DATA, PARTLY, REFUTED, SUPPORTED


def combine(verdicts: Iterable[str]) -> str:
    """Of a conjunction: its clauses are all meant.

    Supported if all are. A clause that is refuted refutes the claim, or leaves it partly supported
    where another is supported. Else it is inconclusive, or without data where a clause has none.

    Raises:
        ValueError: no verdicts.
    """
    found = set(verdicts)
    if not found:
        raise ValueError("a claim has at least one clause")
    if found == {SUPPORTED}:
        return SUPPORTED
    if REFUTED in found:
        return PARTLY if SUPPORTED in found else REFUTED
    # A clause may be partly supported by itself: a list, or what a source states.
    if found <= {SUPPORTED, PARTLY}:
        return PARTLY
    return NO_DATA if NO_DATA in found else INCONCLUSIVE
