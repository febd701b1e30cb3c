"""Intervals and tests that the rules decide by: thin functions over scipy, on axis 0 of arrays.

A value that is not finite is a bug upstream (a diverged trial has a value, see `evidence.py`) and
is refused. scipy is imported where it is used, because `normlab list` imports this file and must
answer at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean (or rate) and its confidence interval, arrays of one shape."""

    mean: Values
    low: Values
    high: Values


def finite(values: ArrayLike, ndim: int | None = None) -> Values:
    """`values` as a float64 array of `ndim` dimensions.

    Raises:
        ValueError: another number of dimensions, or a value that is NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"expected {ndim} dimension(s), got the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(array))} of {array.size} values are not finite"
        )
    return array


def _mean_and_error(values: Values) -> tuple[Values, Values]:
    """(n, ...) -> mean (...) and its standard error (...), n >= 2.

    Sorted first, so that the order of the seeds does not matter even in the last bit. Values that
    are all the same keep their exact value and an error of exactly 0, which sums in floating point
    do not give.
    """
    values = np.sort(values, axis=0)
    same = values[0] == values[-1]
    mean = np.where(same, values[0], values.mean(axis=0))
    error = np.where(same, 0.0, values.std(axis=0, ddof=1) / np.sqrt(len(values)))
    return mean, error


def t_interval(values: Values, confidence: float = CONFIDENCE) -> Interval:
    """Student's two-sided interval of the mean (Student, 1908): (n, ...) -> three (...).

    Values that are all the same give an interval of width 0 from n = 2; one value gives an infinite
    interval.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    from scipy.stats import t

    values = finite(values)
    n = len(values)
    if n == 0:
        raise ValueError("an interval needs at least one value")
    if n == 1:
        unknown = np.full_like(values[0], np.inf)
        return Interval(values[0], -unknown, unknown)
    mean, error = _mean_and_error(values)
    half = t.ppf((1 + confidence) / 2, n - 1) * error
    return Interval(mean, mean - half, mean + half)


def p_greater(values: Values, bound: float = 0.0) -> Values:
    """One-sided p-value of "the mean is at most `bound`" by the t test: (n, ...) -> (...).

    It is 1 for one value, which shows nothing.
    """
    from scipy.stats import t

    values = finite(values)
    if len(values) < 2:
        return np.ones(values.shape[1:])
    mean, error = _mean_and_error(values)
    # An error of 0 makes the statistic infinite, and `t.sf` of that is 0 or 1, as it should be.
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (mean - bound) / error
    # 0 / 0: exactly at the bound, which is no evidence against it.
    return np.where(np.isnan(statistic), 1.0, t.sf(statistic, len(values) - 1))


def p_inside(values: Values, low: float, high: float) -> Values:
    """p-value of "the mean is not between the bounds": (n, ...) -> (...).

    Two one-sided t tests (Schuirmann, 1987). A bound may be infinite; then one test is left.
    """
    # The upper bound is the lower one of the mirrored values. Both must be shown: the larger p.
    return np.maximum(p_greater(values, low), p_greater(-finite(values), -high))


def clopper_pearson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Exact two-sided interval of a rate (Clopper & Pearson, 1934), as scalars; trials >= 1."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return Interval(*np.array([successes / trials, interval.low, interval.high]))


def p_rate(successes: int, trials: int, threshold: float, *, above: bool) -> float:
    """One-sided exact p-value of "the rate is at most (`above`) or at least `threshold`"."""
    from scipy.stats import binomtest

    alternative = "greater" if above else "less"
    return float(binomtest(successes, trials, threshold, alternative=alternative).pvalue)


def rank_rise(values: Values, order: Values) -> Values:
    """Rise of the least-squares line over the ranks of `order`, from lowest to highest rank.

    Of every seed: (n, k, ...), (k,) -> (n, ...). Equal values of `order` share their mean rank.

    Raises:
        ValueError: all of `order` is the same, or the shapes do not fit.
    """
    from scipy.stats import rankdata

    ranks = rankdata(order)
    if values.ndim < 2 or values.shape[1:2] != ranks.shape or np.ptp(ranks) == 0:
        raise ValueError(
            f"values of shape {values.shape} have no trend over an order of shape {ranks.shape}"
        )
    centred = ranks - ranks.mean()
    # The slope is sum(c y) / sum(c^2), c the centred ranks; times their range it is the rise.
    weights = np.ptp(ranks) * centred / (centred**2).sum()
    # Sums over arms, not a matrix product: its blocking depends on n, and the last bit with it.
    weights = weights.reshape(1, -1, *[1] * (values.ndim - 2))
    rise: Values = (values * weights).sum(axis=1)
    return rise


def simes(p_values: Sequence[float], tests: int) -> float:
    """p-value of "all of `tests` null hypotheses are true" from the p-values that are below 1.

    Simes (1986). Holds for independent and for positively dependent tests, as parts that share
    seeds are; for two tests of which one is positive it is Bonferroni's bound, which always holds.
    """
    # One that is left out is 1 and would give tests / rank >= 1: never below a level.
    ranked = enumerate(sorted(p_values), start=1)
    return min((p * tests / rank for rank, p in ranked), default=1.0)
