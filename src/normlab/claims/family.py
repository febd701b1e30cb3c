"""How many verdicts of clauses stay if all of them are taken as one family of tests."""

from collections.abc import Iterable
from dataclasses import dataclass

from normlab.claims.looks import ALPHA
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, Verdict


@dataclass(frozen=True)
class Family:
    """Of clauses: how many there are, are decided by a test, and stay so; how many are exact."""

    clauses: int
    tested: int  # and decided
    kept: int
    exact: int

    @property
    def words(self) -> str:
        """The line of the report."""
        return (
            f"Of {self.clauses} deciding clauses {self.tested} are decided by a test at 5 %, and "
            f"{self.kept} of these keep their verdict under Benjamini and Hochberg's procedure at "
            f"5 % over all clauses; {self.exact} are decided without one (identities, counts, "
            "sources), and the others are open."
        )


def family(verdicts: Iterable[Verdict]) -> Family:
    """Of all clauses together (Benjamini & Hochberg, 1995); those that are open count as tests."""
    from scipy.stats import false_discovery_control

    clauses = [part for verdict in verdicts for part in verdict.clauses]
    tested = [part for part in clauses if part.p is not None]
    adjusted = false_discovery_control([part.p for part in tested]) if tested else []
    open_ = (INCONCLUSIVE, NO_DATA)
    decided = [part.verdict not in open_ for part in tested]
    kept = [sure and p <= ALPHA for sure, p in zip(decided, adjusted, strict=True)]
    exact = [part for part in clauses if part.p is None and part.verdict not in open_]
    return Family(len(clauses), sum(decided), sum(kept), len(exact))
