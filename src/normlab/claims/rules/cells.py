"""A rule about ratios of times over a grid of cells, of which void ones never count."""

import math
from dataclasses import dataclass

import numpy as np

from normlab.claims import stats
from normlab.claims.rules.ratios import Between, inside, outside
from normlab.claims.rules.rule import ALPHA, MIN_SEEDS, Finding, Rule
from normlab.claims.stats import Values
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED, Zone

MOST, SOME = 0.75, 0.25  # of the cells


@dataclass(frozen=True)
class MostCells(Rule):
    """Of log ratios (n, k), NaN where void: do three quarters of the k cells lie in [low, high]?

    A cell's readings are tested for lying inside [low, high] (two one-sided t tests) and outside
    the wider `partly`. That at least r of k cells are inside has the p-value (k - r + 1) p_(r),
    p_(r) the r-th smallest of the cells': it holds however the cells depend on one another
    (Benjamini & Heller, 2008). Supported if that shows three quarters inside, refuted if it shows
    three quarters outside, partly supported if it shows a quarter inside. The effect is each
    reading's median over cells, a void one taken as the mean of its cell's others.
    """

    low: float
    high: float
    partly: tuple[float, float] | None = None
    # Not annotated, so that the dataclass makes no field of it.
    log = True

    def __post_init__(self) -> None:
        # The same bounds, refused for the same reasons.
        Between(self.low, self.high, self.partly)

    @property
    def wide(self) -> tuple[float, float]:
        """The interval outside of which a cell speaks against the claim."""
        return self.partly or (self.low, self.high)

    @property
    def words(self) -> str:
        most, some = (f"{100 * share:g} %" for share in (MOST, SOME))
        band, beyond = inside(self.low, self.high), outside(*self.wide)
        supported = f"supported if {most} of the cells lie {band} (at 5 %)"
        refuted = f"refuted if {most} lie {beyond}"
        return f"{supported}, {refuted}, partly supported if {some} lie {band}"

    def zones(self) -> tuple[Zone, ...]:
        return Between(self.low, self.high, self.partly).zones()

    def decide(self, values: Values, unit: str) -> Finding:
        """(n, k) log ratios of one experiment."""
        n, k = values.shape
        within, beyond = self._p_values(values)
        verdict = self._verdict(within, beyond) if n >= MIN_SEEDS else INCONCLUSIVE
        middle, low, high = (float(end) for end in np.exp(stats.t_interval(typical(values))))
        counts = f"{(within <= ALPHA).sum()} of {k} cells {inside(self.low, self.high)}"
        counts += f", {(beyond <= ALPHA).sum()} {outside(*self.wide)}"
        effect = f"the median cell takes {middle:.3g} times as long, {n} readings"
        text = f"{counts}; {effect}; asked for {100 * MOST:g} % of the cells"
        # Of the weakest verdict in the claim's favour: what `combine` asks of a part.
        p = at_least(within, math.ceil(SOME * k))
        if n == 1:
            return Finding(verdict, middle, None, None, unit, n, text, p)
        return Finding(verdict, middle, low, high, unit, n, text, p)

    def _p_values(self, values: Values) -> tuple[Values, Values]:
        """(k,) each: that a cell lies inside, and that it lies outside."""
        low, high = (_log(edge) for edge in (self.low, self.high))
        wide_low, wide_high = (_log(edge) for edge in self.wide)
        within, beyond = [], []
        # One by one: each cell has its own number of valid readings.
        for column in values.T:
            known = column[np.isfinite(column)]
            within.append(float(stats.p_inside(known, low, high)))
            # An open end is never reached: nothing lies below 0 or above infinity.
            below = float(stats.p_greater(-known, -wide_low)) if math.isfinite(wide_low) else 1.0
            above = float(stats.p_greater(known, wide_high)) if math.isfinite(wide_high) else 1.0
            # Either side counts: two tests, hence twice the smaller p (Bonferroni).
            beyond.append(min(1.0, 2 * min(below, above)))
        return np.array(within), np.array(beyond)

    def _verdict(self, within: Values, beyond: Values) -> str:
        most, some = math.ceil(MOST * len(within)), math.ceil(SOME * len(within))
        if at_least(within, most) <= ALPHA:
            return SUPPORTED
        if at_least(beyond, most) <= ALPHA:
            return REFUTED
        return PARTLY if at_least(within, some) <= ALPHA else INCONCLUSIVE


def typical(values: Values) -> Values:
    """Log ratios (n, k) -> (n,): each reading's median, over the same cells whatever is void."""
    # (k,): what takes the place of a cell's void readings.
    middle = np.nanmean(values, axis=0)
    return np.asarray(np.median(np.where(np.isfinite(values), values, middle), axis=1))


def at_least(p_values: Values, r: int) -> float:
    """p-value of "fewer than `r` of these null hypotheses (k,) are false", however they depend."""
    return min(1.0, float((len(p_values) - r + 1) * np.sort(p_values)[r - 1]))


def _log(edge: float) -> float:
    return math.log(edge) if edge else -math.inf
