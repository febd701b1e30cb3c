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
# Values of one sample (n, ...), or several independent ones whose means add up: of arm and minus
# baseline, say, each (n, ...) with an n of its own.
Sample = Values | tuple[Values, ...]

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


def _combined(samples: Sequence[Values]) -> tuple[Values, Values, Values]:
    """Sum of the means of independent samples, its standard error, its degrees of freedom.

    Welch (1947) and Satterthwaite (1946): df = (sum v)^2 / sum(v^2 / (n - 1)), v a sample's squared
    error. One sample has n - 1.
    """
    moments = [_mean_and_error(values) for values in samples]
    mean = sum(one for one, _ in moments)
    squares = np.stack([error**2 for _, error in moments])
    freedom = np.array([len(values) - 1.0 for values in samples])
    freedom = freedom.reshape(-1, *[1] * (squares.ndim - 1))
    total = squares.sum(axis=0)
    # 0 / 0 where no sample varies: any number will do, the error is 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total**2 / (squares**2 / freedom).sum(axis=0)
    return np.asarray(mean), np.sqrt(total), np.where(total == 0, 1.0, df)


def samples_of(sample: Sample) -> tuple[Values, ...]:
    """The independent samples of `sample`, each float64 and finite.

    Raises:
        ValueError: none, or a value that is not finite.
    """
    samples = sample if isinstance(sample, tuple) else (sample,)
    if not samples:
        raise ValueError("an interval needs at least one sample")
    return tuple(finite(values) for values in samples)


def scaled(sample: Sample, factor: float) -> Sample:
    """Each value times `factor`, samples kept apart."""
    if isinstance(sample, tuple):
        return tuple(factor * values for values in sample)
    return factor * sample


def one_sample(sample: Sample) -> Values:
    """The only sample of `sample`: what an identity, a rate or a list decides about.

    Raises:
        ValueError: there are several.
    """
    if isinstance(sample, tuple):
        (sample,) = sample
    return sample


def t_interval(sample: Sample, confidence: float = CONFIDENCE) -> Interval:
    """Student's two-sided interval of the mean (Student, 1908): (n, ...) -> three (...).

    Of a tuple of independent samples it is Welch's interval of the sum of their means. Values that
    are all the same give an interval of width 0 from n = 2; one value gives an infinite interval.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    from scipy.stats import t

    samples = samples_of(sample)
    fewest = min(len(values) for values in samples)
    if fewest == 0:
        raise ValueError("an interval needs at least one value")
    if fewest == 1:
        mean = np.asarray(sum(values.mean(axis=0) for values in samples))
        unknown = np.full_like(mean, np.inf)
        return Interval(mean, -unknown, unknown)
    mean, error, df = _combined(samples)
    half = t.ppf((1 + confidence) / 2, df) * error
    return Interval(mean, mean - half, mean + half)


def p_greater(sample: Sample, bound: float = 0.0) -> Values:
    """One-sided p-value of "the mean is at most `bound`" by the t test: (n, ...) -> (...).

    Of a tuple of independent samples: of the sum of their means, by Welch's test. It is 1 for one
    value, which shows nothing.
    """
    from scipy.stats import t

    samples = samples_of(sample)
    if min(len(values) for values in samples) < 2:
        return np.ones(samples[0].shape[1:])
    mean, error, df = _combined(samples)
    # An error of 0 makes the statistic infinite, and `t.sf` of that is 0 or 1, as it should be.
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (mean - bound) / error
    # 0 / 0: exactly at the bound, which is no evidence against it.
    return np.where(np.isnan(statistic), 1.0, t.sf(statistic, df))


def p_less(sample: Sample, bound: float = 0.0) -> Values:
    """One-sided p-value of "the mean is at least `bound`": (n, ...) -> (...)."""
    # The upper bound is the lower one of the mirrored values.
    return p_greater(tuple(-values for values in samples_of(sample)), -bound)


def p_other_side(sample: Sample, bound: float = 0.0) -> Values:
    """Two-sided p-value of "the mean is `bound`": (n, ...) -> (...)."""
    both: Values = 2 * np.minimum(p_greater(sample, bound), p_less(sample, bound))
    return np.asarray(np.minimum(1.0, both))


def p_inside(sample: Sample, low: float, high: float) -> Values:
    """p-value of "the mean is not between the bounds": (n, ...) -> (...).

    Two one-sided t tests (Schuirmann, 1987). A bound may be infinite; then one test is left.
    """
    # Both must be shown: the larger p.
    return np.maximum(p_greater(sample, low), p_less(sample, high))


def p_outside(sample: Sample, low: float, high: float) -> Values:
    """p-value of "the mean is between the bounds", either end of which may show that it is not."""
    both: Values = 2 * np.minimum(p_greater(sample, high), p_less(sample, low))
    return np.asarray(np.minimum(1.0, both))


def clopper_pearson(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Exact two-sided interval of a rate (Clopper & Pearson, 1934), as scalars; trials >= 1."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return Interval(*np.array([successes / trials, interval.low, interval.high]))


def p_rate(successes: int, trials: int, threshold: float) -> float:
    """Two-sided exact p-value of "the rate is `threshold`": twice the smaller tail.

    It is below a level just where Clopper and Pearson's interval at that level leaves `threshold`
    out.
    """
    from scipy.stats import binomtest

    tails = [
        binomtest(successes, trials, threshold, alternative=side).pvalue
        for side in ("greater", "less")
    ]
    return min(1.0, 2 * float(min(tails)))


def rise_weights(order: Sequence[float]) -> Values:
    """(k,): times the values at `order`, summed: the rise of the least-squares line over its ranks.

    From the lowest to the highest rank; equal values of `order` share their mean rank.

    Raises:
        ValueError: all of `order` is the same.
    """
    from scipy.stats import rankdata

    ranks = rankdata(order)
    if np.ptp(ranks) == 0:
        raise ValueError(f"the settings {order} have no order")
    centred = ranks - ranks.mean()
    # The slope is sum(c y) / sum(c^2), c the centred ranks; times their range it is the rise.
    weights: Values = np.ptp(ranks) * centred / (centred**2).sum()
    return weights
