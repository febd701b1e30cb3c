"""The table of a score: what each norm can do, and which of two does it better."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from normlab.claims.trials import Point
from normlab.score.row import Row
from normlab.score.subject import Subject

BARRED = "cannot enter"
BETTER, WORSE, SAME = "better", "worse", "as good"


@dataclass(frozen=True)
class Cell:
    """A norm in a row: its verdict on the bound, and its value with the 95 % interval, as shown.

    verdict: also BARRED, with the reason in `text`, and NO_DATA.
    """

    norm: str
    verdict: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True)
class Comparison:
    """The norm against another in a row: which is better, and how sure that is.

    Numbers are the paired difference and its 95 % interval, as shown.
    """

    norm: str
    word: str  # BETTER, WORSE or SAME; "" where nothing is decided
    verdict: str
    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    row: Row
    cells: Mapping[str, Cell]  # by norm, the subject first
    comparisons: Mapping[str, Comparison]  # by reference


@dataclass(frozen=True)
class Score:
    """A norm's table, and what it was made of.

    batches: by norm and by normalization batch, the test accuracies in per cent.
    """

    subject: Subject
    references: tuple[Subject, ...]
    profile: str
    lines: tuple[Line, ...]
    data: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()
    batches: Mapping[str, Mapping[int, list[Point]]] = field(default_factory=dict)

    @property
    def norms(self) -> tuple[str, ...]:
        """Their names, the subject first."""
        return tuple(norm.name for norm in (self.subject, *self.references))
