"""Intervals and p-values against published numbers, scipy's own tests and their nominal level."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from normlab.claims import stats

# Student (1908), extra hours of sleep of ten patients, the second drug against the first.
SLEEP = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])


def test_students_own_data():
    mean, low, high = stats.t_interval(SLEEP)
    assert (mean, low, high) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-7)
    assert 2 * stats.p_greater(SLEEP) == pytest.approx(0.00283289, abs=1e-8)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_agrees_with_scipys_t_test(n, confidence):
    values = np.random.default_rng(n).normal(0.3, 2.0, (n, 7))
    theirs = scipy.stats.ttest_1samp(values, 0.5, alternative="two-sided").confidence_interval(
        confidence
    )
    ours = stats.t_interval(values, confidence)
    np.testing.assert_allclose(ours.low, theirs.low, rtol=1e-12)
    np.testing.assert_allclose(ours.high, theirs.high, rtol=1e-12)
    greater = scipy.stats.ttest_1samp(values, 0.5, alternative="greater").pvalue
    less = scipy.stats.ttest_1samp(values, 0.9, alternative="less").pvalue
    np.testing.assert_allclose(stats.p_greater(values, 0.5), greater, rtol=1e-12)
    np.testing.assert_allclose(
        stats.p_inside(values, 0.5, 0.9), np.maximum(greater, less), rtol=1e-12
    )
    np.testing.assert_allclose(stats.p_inside(values, 0.5, np.inf), greater, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_95_percent_interval_covers_95_percent(n):
    values = np.random.default_rng(0).normal(1.0, 3.0, (n, 100_000))
    _, low, high = stats.t_interval(values)
    assert ((low <= 1.0) & (high >= 1.0)).mean() == pytest.approx(0.95, abs=0.003)
    assert (low > 1.0).mean() == pytest.approx(0.025, abs=0.002)


@given(st.floats(-1e6, 1e6), st.integers(2, 20))
def test_identical_seeds_give_their_value_and_no_width(value, n):
    mean, low, high = stats.t_interval(np.full(n, value))
    assert mean == low == high == value
    assert stats.p_greater(np.full(n, value), value) == 1.0
    assert stats.p_greater(np.full(n, value), value - 1) == 0.0
    assert stats.p_greater(np.full(n, value), value + 1) == 1.0


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 8), (20, 4)])
def test_two_samples_agree_with_scipys_welch_test(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.normal(1.0, 1.0, (n, 7)), rng.normal(0.3, 4.0, (m, 7))
    theirs = scipy.stats.ttest_ind(a, b, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    ours = stats.t_interval((a, -b))
    np.testing.assert_allclose(ours.low, interval.low, rtol=1e-12)
    np.testing.assert_allclose(ours.high, interval.high, rtol=1e-12)
    greater = scipy.stats.ttest_ind(a, b, equal_var=False, alternative="greater").pvalue
    np.testing.assert_allclose(stats.p_greater((a, -b)), greater, rtol=1e-12)


def test_samples_without_any_spread_are_exact():
    same = np.full(3, 0.1), np.full(5, 0.2)
    assert stats.t_interval(same) == (0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2)
    # One that varies decides the degrees of freedom.
    one = np.array([1.0, 2.0, 4.0])
    with_constant, alone = stats.t_interval((one, np.full(9, 1.0))), stats.t_interval(one + 1)
    np.testing.assert_allclose(with_constant, alone)


def test_one_value_says_nothing():
    assert stats.t_interval(np.array([3.0])) == (3.0, -np.inf, np.inf)
    assert stats.p_greater(np.array([3.0])) == 1.0
    with pytest.raises(ValueError, match="at least one"):
        stats.t_interval(np.array([]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad):
    for function in (
        stats.finite,
        stats.t_interval,
        stats.p_greater,
        lambda v: stats.p_inside(v, -1, 1),
    ):
        with pytest.raises(ValueError, match="1 of 3 values are not finite"):
            function(np.array([1.0, bad, 2.0]))


def test_the_number_of_dimensions_is_checked():
    with pytest.raises(ValueError, match=r"expected 1 dimension\(s\), got the shape \(2, 2\)"):
        stats.finite(np.zeros((2, 2)), 1)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.30850), (5, 5, 0.47818, 1.0), (3, 3, 0.29240, 1.0), (6, 6, 0.54074, 1.0),
     (4, 20, 0.05733, 0.43661)],
)  # fmt: skip
def test_clopper_pearson_against_tables(successes, trials, low, high):
    assert stats.clopper_pearson(successes, trials) == pytest.approx(
        (successes / trials, low, high), abs=1e-5
    )


def test_p_of_a_rate_is_the_binomial_tail():
    assert stats.p_rate(5, 5, 0.4) == pytest.approx(2 * 0.4**5)
    assert stats.p_rate(0, 5, 0.4) == pytest.approx(2 * 0.6**5)
    assert stats.p_rate(2, 5, 0.4) == 1.0


def test_rise_weights_give_the_fitted_line_over_ranks():
    values = np.random.default_rng(0).normal(size=(3, 4))
    slopes = [np.polyfit([2, 0, 3, 1], row, 1)[0] for row in values]
    rise = values @ stats.rise_weights((8.0, 1.0, 64.0, 2.0))
    np.testing.assert_allclose(rise, 3 * np.array(slopes))
    # Tied settings share their rank.
    assert np.array([1.0, 2.0, 4.0]) @ stats.rise_weights((1, 1, 2)) == pytest.approx(2.5)


@pytest.mark.parametrize("order", [[1, 1, 1], [5]])
def test_no_trend_without_an_order(order):
    with pytest.raises(ValueError, match="have no order"):
        stats.rise_weights(order)
