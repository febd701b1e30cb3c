"""Looks: after how many seeds a claim is judged, and what a sequence of looks costs.

Who looks again and again at 95 % intervals until one says something is wrong in more than 5 % of
cases: 12 % at the sizes below. So each look uses a wider interval, one width for the whole sequence
(Pocock, 1977), such that all of it keeps the level. The widths come from simulated normal noise:
of one sample, and of two by Welch's test whose standard deviations differ by a factor of 1 to 4,
where that test is a little too bold. The least level of all of them counts, so that the sequence
keeps its level whichever it is. `python scripts/calibrate_looks.py` makes the table anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.errors import NormLabError

ALPHA = 0.05  # of the whole sequence


@dataclass(frozen=True)
class Level:
    """What a single look may use up.

    two_sided: 1 - confidence of its interval, of which either end may decide. one_sided: the level
    of each of the two tests that show an equivalence.
    """

    two_sided: float = ALPHA
    one_sided: float = ALPHA

    @property
    def confidence(self) -> float:
        """Of the interval at this look."""
        return 1 - self.two_sided

    @property
    def either_side(self) -> float:
        """Times a two-sided p-value of this look: that of the sequence, `ALPHA` at its edge."""
        return ALPHA / self.two_sided

    @property
    def one_side(self) -> float:
        """The same of a one-sided p-value."""
        return ALPHA / self.one_sided


ONE_LOOK = Level()
# By the sizes of all looks; a single look uses up all of it, whatever its size.
LEVELS: Mapping[tuple[int, ...], Level] = {
    (3, 5): Level(0.0240, 0.0273),
    (5, 8): Level(0.0273, 0.0297),
    (5, 8, 12): Level(0.0197, 0.0219),
    (5, 8, 12, 20): Level(0.0152, 0.0172),
    (8, 12, 20): Level(0.0212, 0.0229),
}


@dataclass(frozen=True)
class Looks:
    """The numbers of seeds after which a claim is judged: once decided, a clause stays so."""

    sizes: tuple[int, ...] = (5, 8, 12, 20)

    def __post_init__(self) -> None:
        if len(self.sizes) != 1 and self.sizes not in LEVELS:
            known = "; ".join(", ".join(map(str, sizes)) for sizes in LEVELS)
            raise NormLabError(
                f"looks at {', '.join(map(str, self.sizes))} seeds are not calibrated; choose a "
                f"single one, or one of: {known}."
            )

    @property
    def level(self) -> Level:
        """Of each look."""
        return LEVELS.get(self.sizes, ONE_LOOK)

    @property
    def most(self) -> int:
        """The number of seeds after which a claim stays inconclusive."""
        return self.sizes[-1]

    def reached(self, seeds: int) -> Sequence[int]:
        """The sizes that `seeds` trials of every arm are enough for."""
        return [size for size in self.sizes if size <= seeds]
