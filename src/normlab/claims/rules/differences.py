"""Rules about differences, positive in the direction of the claim. The unit of replication is the
seed; arms are independent samples, unless one network is measured twice.

The t intervals hold their level for normal noise and are conservative for symmetric heavy tails.
They do not hold for an arm that trains well and sometimes collapses: a few seeds may miss the
collapse altogether. Decide such an arm by `Rate`. And do not choose an arm by the seeds that then
decide about it: make each arm a part, and `combine` them. tests/claims/test_rules.py holds the
simulated error and power of each rule.
"""

from dataclasses import dataclass
from itertools import combinations
from math import inf

import numpy as np

from normlab.claims import stats
from normlab.claims.looks import ONE_LOOK, Level
from normlab.claims.rules.rule import Decision, IntervalRule, check_margin
from normlab.claims.stats import Sample
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED, Zone


@dataclass(frozen=True)
class AtLeast(IntervalRule):
    """Of effects (n,): is the effect more than `margin`?

    Supported if the interval lies above the margin, refuted if it lies below, else inconclusive: so
    the words mean what is tested, and an effect of the margin itself is called either in 5 % of
    cases. An effect of the margin and 1.9 standard deviations is found at n = 5 in 80 %.
    """

    margin: float

    def __post_init__(self) -> None:
        check_margin(self.margin)

    @property
    def words(self) -> str:
        return f"supported above {self.margin:g}, refuted below"

    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        mean, low, high = stats.t_interval(values, level.confidence)
        over, under = low > self.margin, high < self.margin
        verdict = np.select([over, under], [SUPPORTED, REFUTED], INCONCLUSIVE)
        p = np.minimum(1.0, level.either_side * stats.p_other_side(values, self.margin))
        return Decision(verdict, mean, low, high, p)

    def zones(self) -> tuple[Zone, ...]:
        return Zone(-inf, self.margin, REFUTED), Zone(self.margin, inf, SUPPORTED)


@dataclass(frozen=True)
class Within(IntervalRule):
    """Two one-sided tests (Schuirmann, 1987), of (n,): is the effect within +-margin?

    Supported if both show it at the level of the look, refuted if the interval lies wholly outside.
    An effect of the margin or more is called equivalent in at most 5 % of cases, a smaller one
    refuted in at most 5 % (2.5 % where the margin is large beside the noise, so that only one side
    counts).
    """

    margin: float

    def __post_init__(self) -> None:
        check_margin(self.margin)
        if self.margin == 0:
            raise ValueError(
                "nothing can be shown to be equivalent within 0: an identity is for Exact"
            )

    @property
    def words(self) -> str:
        return f"supported within {self.margin:g} either way, refuted outside"

    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        margin = self.margin
        mean, low, high = stats.t_interval(values, level.confidence)
        # One end of this narrower interval is a one-sided test.
        _, lowest, highest = stats.t_interval(values, 1 - 2 * level.one_sided)
        inside = (lowest > -margin) & (highest < margin)
        outside = (low > margin) | (high < -margin)
        verdict = np.select([inside, outside], [SUPPORTED, REFUTED], INCONCLUSIVE)
        p_inside = level.one_side * stats.p_inside(values, -margin, margin)
        p_outside = level.either_side * stats.p_outside(values, -margin, margin)
        p = np.minimum(1.0, np.minimum(p_inside, p_outside))
        return Decision(verdict, mean, low, high, p)

    def zones(self) -> tuple[Zone, ...]:
        return (
            Zone(-inf, -self.margin, REFUTED),
            Zone(-self.margin, self.margin, SUPPORTED),
            Zone(self.margin, inf, REFUTED),
        )


@dataclass(frozen=True)
class FallsBelow(IntervalRule):
    """Samples of a reference, of a setting below a bound and of the bound itself: does the first of
    these two cost more than `margin` against the reference, and the second less?

    Supported if both are shown, each by `AtLeast`; both must pass, so no correction is due (Berger,
    1982). Refuted if either is shown not to be so, by twice the p-value. The effect is what the
    setting below the bound costs.
    """

    margin: float

    def __post_init__(self) -> None:
        check_margin(self.margin)

    @property
    def words(self) -> str:
        return (
            f"supported above {self.margin:g} below the bound and under it at the bound, refuted "
            "where either is not so"
        )

    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        reference, setting, bound = stats.samples_of(values)
        half = Level(level.two_sided / 2, level.one_sided / 2)
        rule = AtLeast(self.margin)
        below, at = ((reference, -one) for one in (setting, bound))
        fall, enough = rule.decide_all(below, level), rule.decide_all(at, level)
        no_fall, too_late = rule.decide_all(below, half), rule.decide_all(at, half)
        supported = (fall.verdict == SUPPORTED) & (enough.verdict == REFUTED)
        flat, late = no_fall.verdict == REFUTED, too_late.verdict == SUPPORTED
        verdict = np.select([supported, flat | late], [SUPPORTED, REFUTED], INCONCLUSIVE)
        p = np.select([flat, late], [no_fall.p, too_late.p], np.maximum(fall.p, enough.p))
        return fall._replace(verdict=verdict, p=p)

    def zones(self) -> tuple[Zone, ...]:
        return AtLeast(self.margin).zones()


@dataclass(frozen=True)
class Rises(IntervalRule):
    """A sample of each of k settings: do their means rise with `order` (k,) by more than `margin`?

    Negate them for a fall. The effect is the rise of the least-squares line over the ranks of
    `order`, from the lowest to the highest; it goes through `AtLeast`. That alone would call a
    curve that rises and then falls a monotone trend, so `supported` asks also that no setting lies
    as much as the margin below one of lower rank, each shown by a one-sided test: all must pass, so
    no correction is due (Berger, 1982). A rise that does not show this much is inconclusive.
    """

    order: tuple[float, ...]
    margin: float

    def __post_init__(self) -> None:
        check_margin(self.margin)
        stats.rise_weights(self.order)

    @property
    def words(self) -> str:
        return (
            f"supported above a rise of {self.margin:g} with no fall of as much, refuted below it"
        )

    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        settings = stats.samples_of(values)
        weights = stats.rise_weights(self.order)
        terms = [weight * one for weight, one in zip(weights, settings, strict=True)]
        decision = AtLeast(self.margin).decide_all(tuple(terms), level)
        # Settings of equal rank are in no order, so that neither can be a fall.
        ranked = combinations(np.argsort(self.order), 2)
        pairs = [(i, j) for i, j in ranked if self.order[i] < self.order[j]]
        confidence = 1 - 2 * level.one_sided
        lows = [stats.t_interval((settings[j], -settings[i]), confidence).low for i, j in pairs]
        falls = ~(np.stack(lows) > -self.margin).all(axis=0)
        positive = decision.verdict == SUPPORTED
        verdict = np.where(positive & falls, INCONCLUSIVE, decision.verdict)
        steps = [stats.p_greater((settings[j], -settings[i]), -self.margin) for i, j in pairs]
        worst = np.minimum(1.0, level.one_side * np.max(steps, axis=0))
        p = np.where(positive, np.maximum(decision.p, worst), decision.p)
        return decision._replace(verdict=verdict, p=p)

    def zones(self) -> tuple[Zone, ...]:
        return AtLeast(self.margin).zones()
