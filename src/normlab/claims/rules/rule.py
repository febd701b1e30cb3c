"""What a rule is, and what it finds: pure functions of arrays, so that their errors can be
simulated."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from normlab.claims import stats
from normlab.claims.stats import Values
from normlab.records.verdict import INCONCLUSIVE, Zone

MIN_SEEDS = 3  # fewer are inconclusive
MIN_DRAWS = 20  # all within the tolerance: 95 % sure that fewer than 14 % of draws are not
ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """What a rule found: the verdict, the effect with its 95 % interval, one sentence with the
    numbers.

    `p` is the p-value of the null hypothesis that a (partly) supported verdict rejects; None says
    that the finding is exact (an identity, an audit). `combine` needs it.
    """

    verdict: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    n: int
    text: str
    p: float | None = None


class Decision(NamedTuple):
    """Of many experiments at once, arrays of one shape: verdicts, effects, 95 % intervals,
    p-values."""

    verdict: NDArray[np.str_]
    effect: Values
    low: Values
    high: Values
    p: Values


class Rule(ABC):
    """Decides from numbers, says in words what it asks, and gives its zones to the figure.

    The words and the zones are made from the very fields that decide, so that they cannot differ.
    """

    log: bool = False  # whether effects are ratios, to be drawn on a logarithmic axis

    @property
    @abstractmethod
    def words(self) -> str:
        """What is asked, with its numbers: `supported from 1, refuted below 0.5`."""

    @abstractmethod
    def decide(self, values: Values, unit: str) -> Finding:
        """The finding of one experiment; what `values` are is said by each rule."""

    def zones(self) -> tuple[Zone, ...]:
        """Which effects are supported and which refuted; none for what is no interval of
        effects."""
        return ()


class IntervalRule(Rule):
    """A rule over seeds that decides many experiments at once, by the interval of their means."""

    @abstractmethod
    def decide_all(self, values: Values) -> Decision:
        """(n, ...) of many experiments -> arrays (...)."""

    def decide(self, values: Values, unit: str) -> Finding:
        """(n,) of one experiment; fewer than three seeds are inconclusive."""
        return _finding(stats.finite(values, self.dimensions), self.decide_all, unit, self.words)

    dimensions: int = 1  # of `values`: seeds, or seeds by settings


def _finding(
    values: Values, decide: Callable[[Values], Decision], unit: str, words: str
) -> Finding:
    n = len(values)
    if n == 0:
        return Finding(INCONCLUSIVE, None, None, None, unit, 0, f"no seeds; {words}")
    decision = decide(values)
    verdict = str(decision.verdict) if n >= MIN_SEEDS else INCONCLUSIVE
    effect, low, high = (float(value) for value in decision[1:4])
    p = float(decision.p)
    # The interval of one seed is infinite, and a verdict is kept as JSON, which has no infinity.
    if n == 1:
        return Finding(
            verdict, effect, None, None, unit, n, f"{effect:.3g} {unit} from 1 seed; {words}", p
        )
    text = f"{effect:.3g} {unit}, 95 % interval {low:.3g} to {high:.3g}, from {n} seeds; {words}"
    return Finding(verdict, effect, low, high, unit, n, text, p)


def check_margin(margin: float) -> None:
    """Raises ValueError for a margin or tolerance that is negative or not finite."""
    if not 0 <= margin < math.inf:
        raise ValueError(f"a margin or tolerance is finite and not negative, not {margin}")
