"""Rules about differences, positive in the direction of the claim. The unit of replication is the
seed.

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
from normlab.claims.rules.rule import ALPHA, Decision, IntervalRule, check_margin
from normlab.claims.stats import Values
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED, Zone


@dataclass(frozen=True)
class AtLeast(IntervalRule):
    """D(margin) of the catalogue, of (n,): is the effect `margin` or more?

    Checked in this order: supported if the 95 % interval lies above 0, the mean reaches the margin,
    and the 90 % interval lies above half the margin; refuted if the 95 % interval lies below half
    the margin (the opposite sign included); partly supported if it lies above 0.

    The 90 % interval is ours: without it, noise of about the margin's size lets 7 % of experiments
    (n = 5) support an effect that is so small (half the margin) that more seeds would refute it;
    where the interval is narrower than the margin it changes nothing. So no effect is called
    (partly) supported in at most 2.5 % of cases, half the margin or less supported in at most 5 %,
    more than that refuted in at most 2.5 %. `supported` says that there is an effect and that its
    estimate reaches the margin; the effect itself may be less. An effect of the margin and 3.3
    (n = 3) or 1.7 (n = 5) standard deviations is found in 80 % of cases.
    """

    margin: float

    def __post_init__(self) -> None:
        check_margin(self.margin)

    @property
    def words(self) -> str:
        return f"supported from {self.margin:g}, refuted below {self.margin / 2:g}"

    def decide_all(self, values: Values) -> Decision:
        mean, low, high = stats.t_interval(values)
        # One end of a 90 % interval is a one-sided bound at 5 %.
        low90 = stats.t_interval(values, 1 - 2 * ALPHA).low
        supported = (low > 0) & (mean >= self.margin) & (low90 > self.margin / 2)
        # Of the conditions, the first that holds decides.
        verdict = np.select(
            [supported, high < self.margin / 2, low > 0],
            [SUPPORTED, REFUTED, PARTLY],
            INCONCLUSIVE,
        )
        return Decision(verdict, mean, low, high, stats.p_greater(values))

    def zones(self) -> tuple[Zone, ...]:
        return Zone(-inf, self.margin / 2, REFUTED), Zone(self.margin, inf, SUPPORTED)


@dataclass(frozen=True)
class Within(IntervalRule):
    """Two one-sided tests at 5 % (Schuirmann, 1987), of (n,): is the effect within +-margin?

    Supported if the 90 % interval lies inside +-margin, refuted if the 95 % interval lies wholly
    outside. An effect of the margin or more is called equivalent in at most 5 % of cases, a smaller
    one refuted in at most 5 % (2.5 % where the margin is large beside the noise, so that only one
    side counts).
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
        return f"supported if within {self.margin:g} either way at 90 %"

    def decide_all(self, values: Values) -> Decision:
        margin = self.margin
        mean, low, high = stats.t_interval(values)
        _, low90, high90 = stats.t_interval(values, 1 - 2 * ALPHA)
        inside = (low90 > -margin) & (high90 < margin)
        outside = (low > margin) | (high < -margin)
        verdict = np.select([inside, outside], [SUPPORTED, REFUTED], INCONCLUSIVE)
        return Decision(verdict, mean, low, high, stats.p_inside(values, -margin, margin))

    def zones(self) -> tuple[Zone, ...]:
        return (
            Zone(-inf, -self.margin, REFUTED),
            Zone(-self.margin, self.margin, SUPPORTED),
            Zone(self.margin, inf, REFUTED),
        )


@dataclass(frozen=True)
class Rises(IntervalRule):
    """(n, k) of k settings: do the values rise with `order` (k,) by `margin`? Negate them for a
    fall.

    The effect is the rise, from the lowest to the highest rank of `order`, of each seed's
    least-squares line over the ranks; it goes through `AtLeast`. That alone would call a curve that
    rises and then falls a monotone trend, so `supported` asks also that no setting lies as much as
    the margin below one of lower rank, each shown by a one-sided test at 5 %: all must pass, so no
    correction is due (Berger, 1982), and a fall of the margin anywhere is called supported in at
    most 5 % of cases. A rise that does not show this much is partly supported, so plan for a margin
    of at least 6 (n = 3) or 3 (n = 5) standard deviations of a value.
    """

    order: tuple[float, ...]
    margin: float
    dimensions = 2

    def __post_init__(self) -> None:
        check_margin(self.margin)

    @property
    def words(self) -> str:
        fall = f"with no fall of as much, refuted below {self.margin / 2:g}"
        return f"supported from a rise of {self.margin:g} {fall}"

    def decide_all(self, values: Values) -> Decision:
        ranks = np.array(self.order)
        decision = AtLeast(self.margin).decide_all(stats.rank_rise(values, ranks))
        # Settings of equal rank are in no order, so that neither can be a fall.
        pairs = [(i, j) for i, j in combinations(np.argsort(ranks), 2) if ranks[i] < ranks[j]]
        steps = np.stack([values[:, j] - values[:, i] for i, j in pairs])  # (pairs, n, ...)
        low90 = stats.t_interval(np.moveaxis(steps, 0, 1), 1 - 2 * ALPHA).low  # (pairs, ...)
        falls = ~(low90 > -self.margin).all(axis=0)
        verdict = np.where((decision.verdict == SUPPORTED) & falls, PARTLY, decision.verdict)
        return decision._replace(verdict=verdict)

    def zones(self) -> tuple[Zone, ...]:
        return AtLeast(self.margin).zones()
