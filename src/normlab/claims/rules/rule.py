"""What a rule is, and what it finds: pure functions of arrays, so that their errors can be
simulated."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from normlab.claims import stats
from normlab.claims.looks import ONE_LOOK, Level
from normlab.claims.stats import Sample, Values
from normlab.records.verdict import INCONCLUSIVE, Zone

MIN_SEEDS = 3  # fewer are inconclusive
MIN_DRAWS = 20  # all within the tolerance: 95 % sure that fewer than 14 % of draws are not


@dataclass(frozen=True)
class Finding:
    """What a rule found: the verdict, the effect with its interval, one sentence with the numbers.

    The interval holds the effect in 95 % of cases over all looks together. `p` is the p-value of
    what the verdict rejects, for all looks together, so that it is below 5 % where one is decided;
    None says that the finding is exact (an identity, an audit).
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
    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """The finding of one experiment; what `values` are is said by each rule.

        level: what this look may use up; a rule without an interval of a mean has one look.
        """

    def zones(self) -> tuple[Zone, ...]:
        """Which effects are supported and which refuted; none for what is no interval of
        effects."""
        return ()


class IntervalRule(Rule):
    """A rule over seeds that decides many experiments at once, by the interval of their means."""

    @abstractmethod
    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        """(n, ...) of many experiments, or a tuple of independent samples -> arrays (...)."""

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(n,) of one experiment, or a tuple of them; fewer than three seeds are inconclusive."""
        samples = values if isinstance(values, tuple) else (values,)
        n = min(len(stats.finite(sample, 1)) for sample in samples)
        if n == 0:
            return Finding(INCONCLUSIVE, None, None, None, unit, 0, f"no seeds; {self.words}")
        decision = self.decide_all(values, level)
        verdict = str(decision.verdict) if n >= MIN_SEEDS else INCONCLUSIVE
        effect, low, high = (float(value) for value in decision[1:4])
        p = float(decision.p)
        # The interval of one seed is infinite, and a verdict is kept as JSON, which has no
        # infinity.
        if n == 1:
            text = f"{effect:.3g} {unit} from 1 seed; {self.words}"
            return Finding(verdict, effect, None, None, unit, n, text, p)
        interval = f"95 % interval {low:.3g} to {high:.3g}"
        text = f"{effect:.3g} {unit}, {interval}, from {n} seeds; {self.words}"
        return Finding(verdict, effect, low, high, unit, n, text, p)


def check_margin(margin: float) -> None:
    """Raises ValueError for a margin or tolerance that is negative or not finite."""
    if not 0 <= margin < math.inf:
        raise ValueError(f"a margin or tolerance is finite and not negative, not {margin}")
