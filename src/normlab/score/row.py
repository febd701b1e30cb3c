"""One row of a score: what is read of which trials, and the bound and margin that decide it."""

from collections.abc import Callable
from dataclasses import dataclass

from normlab.claims.claim import Arm
from normlab.claims.evidence import Evidence
from normlab.claims.stats import Sample
from normlab.score.subject import Subject
from normlab.score.values import Read


def never(subject: Subject) -> str:
    """Any norm can enter."""
    return ""


@dataclass(frozen=True)
class Row:
    """An ability. Of `value` (n,), by seed, more is better where `sign` is 1, less where it is -1.

    log: values are base-2 logarithms; shown are their powers, and differences as ratios.
    exact: an identity: values are errors, and `bound` is the tolerance.
    pair, against: trials that compare two norms by themselves, and the difference (n,) that they
    give, where it is not that of two values.
    """

    name: str
    family: str  # of cells: images, text, layer, cost
    can: str  # follows the norm's name where the bound is kept, `cannot` where it is not
    cannot: str
    measured: str  # how
    unit: str
    arms: Callable[[Subject], tuple[Arm, ...]]
    value: Read
    sign: int
    bound: float
    margin: float = 0.0
    log: bool = False
    exact: bool = False
    barred: Callable[[Subject], str] = never  # why a norm cannot enter, "" if it can
    pair: Callable[[Subject, Subject], tuple[Arm, ...]] | None = None
    against: Callable[[Evidence, Subject, Subject], Sample] | None = None

    def shown(self, value: float) -> float:
        """As it is shown: without the logarithm."""
        return 2.0**value if self.log else value

    @property
    def asked(self) -> str:
        """The bound, in words."""
        if self.exact:
            return f"{self.bound:g} at most"
        side = "at least" if self.sign > 0 else "at most"
        return f"{side} {self.shown(self.bound):.3g} {self.unit}"

    def both(self, subject: Subject, other: Subject) -> tuple[Arm, ...]:
        """The arms that a comparison reads, each once."""
        # Where a trial compares both in one process, its ratio is the difference.
        arms = self.pair(subject, other) if self.pair else (*self.arms(subject), *self.arms(other))
        return tuple({arm.name: arm for arm in arms}.values())

    def difference(self, evidence: Evidence, subject: Subject, other: Subject) -> Sample:
        """subject - other: two independent samples (n,), or ratios (n,) that one trial measured."""
        if self.against:
            return self.against(evidence, subject, other)
        return self.value(evidence, subject), -self.value(evidence, other)
