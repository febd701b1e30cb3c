"""Rules about ratios, given as natural logarithms."""

import math
from dataclasses import dataclass

import numpy as np

from normlab.claims import stats
from normlab.claims.looks import ONE_LOOK, Level
from normlab.claims.rules.rule import Decision, IntervalRule
from normlab.claims.stats import Sample
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED, Zone


def inside(low: float, high: float) -> str:
    """Where ratios are that lie from `low` to `high`, of which 0 and infinity are open ends."""
    if math.isinf(high):
        return f"at {low:g} or more"
    return f"at {high:g} or less" if low == 0 else f"inside {low:g} to {high:g}"


def outside(low: float, high: float) -> str:
    """Where ratios are that do not."""
    if math.isinf(high):
        return f"below {low:g}"
    return f"above {high:g}" if low == 0 else f"outside {low:g} to {high:g}"


@dataclass(frozen=True)
class Between(IntervalRule):
    """Of log ratios (n,): does the ratio lie between `low` and `high` (0 and inf: open ends)?

    The interval on the log scale, transformed back: supported inside, refuted outside, inconclusive
    across an edge.
    """

    low: float
    high: float
    # Not annotated, so that the dataclass makes no field of it.
    log = True

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise ValueError(f"{self.low} to {self.high} is no interval of ratios")

    @property
    def words(self) -> str:
        return f"supported {inside(self.low, self.high)}, refuted {outside(self.low, self.high)}"

    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        mean, low, high = stats.t_interval(values, level.confidence)
        # An open end of 0: its logarithm is -inf, and every interval lies above that.
        with np.errstate(divide="ignore"):
            least, most = np.log((self.low, self.high))
        within = (low >= least) & (high <= most)
        beyond = (high < least) | (low > most)
        verdict = np.select([within, beyond], [SUPPORTED, REFUTED], INCONCLUSIVE)
        # Both ends of one interval must lie within.
        p_inside = 2 * stats.p_inside(values, least, most)
        p_outside = stats.p_outside(values, least, most)
        p = np.minimum(1.0, level.either_side * np.minimum(p_inside, p_outside))
        # Few seeds give a wide interval, whose end may be too large for a float: inf is meant.
        with np.errstate(over="ignore"):
            return Decision(verdict, np.exp(mean), np.exp(low), np.exp(high), p)

    def zones(self) -> tuple[Zone, ...]:
        zones = (
            Zone(-math.inf, self.low, REFUTED),
            Zone(self.low, self.high, SUPPORTED),
            Zone(self.high, math.inf, REFUTED),
        )
        # No ratio lies beyond an open end.
        return tuple(zone for zone in zones if zone.low < math.inf and zone.high > 0)
