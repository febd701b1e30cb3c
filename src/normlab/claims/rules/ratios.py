"""Rules about ratios, given as natural logarithms."""

import math
from dataclasses import dataclass

import numpy as np

from normlab.claims import stats
from normlab.claims.rules.rule import Decision, IntervalRule
from normlab.claims.stats import Values
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED, Zone


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

    t interval on the log scale, transformed back: supported if it lies inside [low, high]; partly
    supported if inside the wider `partly`; refuted if wholly outside the wider of the two. An
    interval beyond [low, high] that crosses the edge of `partly` is inconclusive: calling it
    refuted would be false for most ratios just inside that edge.
    """

    low: float
    high: float
    partly: tuple[float, float] | None = None
    # Not annotated, so that the dataclass makes no field of it.
    log = True

    def __post_init__(self) -> None:
        wide = self.wide
        if not 0 <= wide[0] <= self.low < self.high <= wide[1]:
            raise ValueError(
                f"[{self.low}, {self.high}] and the wider {wide} are no nested intervals of ratios"
            )

    @property
    def wide(self) -> tuple[float, float]:
        """The interval outside of which a ratio is refuted."""
        return self.partly or (self.low, self.high)

    @property
    def words(self) -> str:
        return f"supported {inside(self.low, self.high)}, refuted {outside(*self.wide)}"

    def decide_all(self, values: Values) -> Decision:
        mean, low, high = stats.t_interval(values)
        # An open end of 0: its logarithm is -inf, and every interval lies above that.
        with np.errstate(divide="ignore"):
            inner_low, inner_high = np.log((self.low, self.high))
            wide_low, wide_high = np.log(self.wide)
        within = (low >= inner_low) & (high <= inner_high)
        in_wide = (low >= wide_low) & (high <= wide_high)
        beyond = (high < wide_low) | (low > wide_high)
        verdict = np.select([within, in_wide, beyond], [SUPPORTED, PARTLY, REFUTED], INCONCLUSIVE)
        p = stats.p_inside(values, wide_low, wide_high)
        # Few seeds give a wide interval, whose end may be too large for a float: inf is meant.
        with np.errstate(over="ignore"):
            return Decision(verdict, np.exp(mean), np.exp(low), np.exp(high), p)

    def zones(self) -> tuple[Zone, ...]:
        zones = (
            Zone(-math.inf, self.wide[0], REFUTED),
            Zone(self.low, self.high, SUPPORTED),
            Zone(self.wide[1], math.inf, REFUTED),
        )
        # No ratio lies beyond an open end.
        return tuple(zone for zone in zones if zone.low < math.inf and zone.high > 0)


@dataclass(frozen=True)
class AtLeastTimes(IntervalRule):
    """Of log ratios (n,): is the ratio `times` or more?

    Supported if the mean reaches `times` and its 95 % interval lies above `above`; partly supported
    if the interval lies above `partly`; refuted if it lies below that. So a ratio of `above` is
    supported and one of `partly` refuted in at most 2.5 % of cases each.
    """

    times: float
    above: float
    partly: float
    log = True

    def __post_init__(self) -> None:
        if not 0 < self.partly <= self.above <= self.times < math.inf:
            raise ValueError(
                f"{self.partly}, {self.above} and {self.times} are no rising bounds of a ratio"
            )

    @property
    def words(self) -> str:
        supported = f"supported from {self.times:g} with its interval above {self.above:g}"
        return f"{supported}, partly if that is above {self.partly:g}, refuted below"

    def decide_all(self, values: Values) -> Decision:
        # The interval decides first; the estimate can only take support away.
        decision = Between(self.above, math.inf, (self.partly, math.inf)).decide_all(values)
        short = (decision.verdict == SUPPORTED) & (decision.effect < self.times)
        return decision._replace(verdict=np.where(short, PARTLY, decision.verdict))

    def zones(self) -> tuple[Zone, ...]:
        return Zone(-math.inf, self.partly, REFUTED), Zone(self.times, math.inf, SUPPORTED)
