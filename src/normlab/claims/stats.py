"""Intervals and tests that the rules decide by: thin functions over scipy, on axis 0 of arrays.

A value that is not finite is a bug upstream (a diverged trial has a value, see `evidence.py`) and is refused. scipy is
imported where it is used, because `normlab list` imports this file and must answer at once.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean (or rate) and its confidence interval, arrays of one shape."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def finite(values: ArrayLike, ndim: int | None = None) -> np.ndarray:
    """`values` as a float64 array of `ndim` dimensions.

    Raises:
        ValueError: another number of dimensions, or a value that is NaN or infinite.
    """
    array = np.asarray(values, dtype=float)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"expected {ndim} dimension(s), got the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(array))} of {array.size} values are not finite"
        )
    return array


def _mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, ...) -> mean (...) and its standard error (...), n >= 2.

    Sorted first, so that the order of the seeds does not matter even in the last bit. Values that are all the same
    keep their exact value and an error of exactly 0, which sums in floating point do not give.
    """
    values = np.sort(values, axis=0)
    same = values[0] == values[-1]
    mean = np.where(same, values[0], values.mean(axis=0))
    error = np.where(same, 0.0, values.std(axis=0, ddof=1) / np.sqrt(len(values)))
    return mean, error


def t_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Student's two-sided interval of the mean over axis 0 (Student, 1908): (n, ...) -> three arrays (...).

    Values that are all the same give an interval of width 0 from n = 2; one value gives an infinite interval.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    from scipy.stats import t

    values = finite(values)
    n = len(values)
    if n == 0:
        raise ValueError("an interval needs at least one value")
    if n == 1:
        return Interval(
            values[0], np.full_like(values[0], -np.inf), np.full_like(values[0], np.inf)
        )
    mean, error = _mean_and_error(values)
    half = t.ppf((1 + confidence) / 2, n - 1) * error
    return Interval(mean, mean - half, mean + half)


def p_greater(values: np.ndarray, bound: float = 0.0) -> np.ndarray:
    """One-sided p-value of "the mean is at most `bound`" by the t test: (n, ...) -> (...); 1 for one value."""
    from scipy.stats import t

    values = finite(values)
    if len(values) < 2:
        return np.ones(values.shape[1:])
    mean, error = _mean_and_error(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (mean - bound) / error
    # 0 / 0: exactly at the bound, which is no evidence against it.
    return np.where(np.isnan(statistic), 1.0, t.sf(statistic, len(values) - 1))


def p_inside(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """p-value of two one-sided t tests of "the mean is not between the bounds" (Schuirmann, 1987): (n, ...) -> (...).

    A bound may be infinite; then one test is left.
    """
    return np.maximum(p_greater(values, low), p_greater(-finite(values), -high))


def clopper_pearson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Exact two-sided interval of a rate (Clopper and Pearson, 1934), as scalars; trials >= 1."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return Interval(*np.array([successes / trials, interval.low, interval.high]))


def p_rate(successes: int, trials: int, threshold: float, above: bool) -> float:
    """One-sided exact p-value of "the rate is at most (`above`) or at least `threshold`"."""
    from scipy.stats import binomtest

    return float(
        binomtest(successes, trials, threshold, alternative="greater" if above else "less").pvalue
    )


def rank_rise(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Rise of the least-squares line over the ranks of `order`, from the lowest to the highest rank, of every seed.

    (n, k, ...), (k,) -> (n, ...). Equal values of `order` share their mean rank.

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
    # Sums over arms, not a matrix product: its blocking depends on n, and the last bit with it.
    weights = (np.ptp(ranks) * centred / (centred**2).sum()).reshape(
        1, -1, *[1] * (values.ndim - 2)
    )
    return (values * weights).sum(axis=1)


def simes(p_values: list[float], tests: int) -> float:
    """p-value of "all of `tests` null hypotheses are true" from the p-values that are below 1 (Simes, 1986).

    Holds for independent and for positively dependent tests, as parts that share seeds are; for two tests of which one
    is positive it is Bonferroni's bound, which always holds.
    """
    return min((p * tests / rank for rank, p in enumerate(sorted(p_values), start=1)), default=1.0)
