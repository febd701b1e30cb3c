"""What each rule says about small arrays that one can check by eye, and what no rule may depend on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.claims import rules
from normlab.claims.rules import Finding
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [([3, 4, 5], SUPPORTED), ([1.4, 1.5, 1.6], PARTLY), ([0.4, 0.5, 0.6], REFUTED), ([-4, -5, -6], REFUTED),
     ([-3, 4, 5], INCONCLUSIVE), ([2, 2, 2], SUPPORTED), ([0, 0, 0], REFUTED), ([1, 1, 1], PARTLY),
     ([9, 9], INCONCLUSIVE), ([0, 0], INCONCLUSIVE), ([9], INCONCLUSIVE), ([], INCONCLUSIVE),
     ([0, 2, 4.1, 2, 2.1], PARTLY)],
)  # fmt: skip
def test_greater_by(difference, verdict):
    assert rules.greater_by(np.array(difference, dtype=float), 2.0).verdict == verdict


def test_a_finding_says_its_numbers():
    found = rules.greater_by(np.array([3.0, 4.0, 5.0]), 2.0)
    assert (found.effect, found.low, found.high) == pytest.approx((4.0, 1.51586, 6.48414), abs=1e-5)
    assert (found.n, found.unit, found.p) == (3, "points", pytest.approx(0.010102, abs=1e-6))
    assert (
        found.text
        == "4 points, 95 % interval 1.52 to 6.48, from 3 seeds; supported from 2, refuted below 1"
    )
    one = rules.greater_by(np.array([3.0]), 2.0)
    assert (one.effect, one.low, one.high) == (3.0, None, None)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [([0.1, -0.1, 0.2], SUPPORTED), ([0.9, 1.1, 1.0], INCONCLUSIVE), ([1.9, 2.0, 2.1], REFUTED),
     ([-2, -2.1, -2], REFUTED), ([0, 0, 0], SUPPORTED), ([1, 1, 1], INCONCLUSIVE), ([0, 0], INCONCLUSIVE)],
)  # fmt: skip
def test_equivalent_within(difference, verdict):
    assert rules.equivalent_within(np.array(difference, dtype=float), 1.0).verdict == verdict


def test_exact_within():
    assert rules.exact_within(np.full(20, 1e-6), 1e-6).verdict == SUPPORTED
    assert rules.exact_within(np.full(19, 1e-6), 1e-6).verdict == INCONCLUSIVE
    assert rules.exact_within(np.array([0.0] * 19 + [2e-6]), 1e-6).verdict == REFUTED
    assert (
        rules.exact_within(np.array([2e-6]), 1e-6).verdict == REFUTED
    )  # one counter-example is enough
    assert rules.exact_within(np.array([]), 1e-6).verdict == INCONCLUSIVE
    with pytest.raises(ValueError, match="absolute"):
        rules.exact_within(np.array([-1.0]), 1e-6)


@pytest.mark.parametrize(
    ("successes", "trials", "above", "verdict"),
    [(6, 6, True, SUPPORTED), (5, 5, True, INCONCLUSIVE), (0, 6, True, REFUTED), (0, 6, False, SUPPORTED),
     (6, 6, False, REFUTED), (0, 0, True, INCONCLUSIVE), (2, 2, True, INCONCLUSIVE)],
)  # fmt: skip
def test_rate(successes, trials, above, verdict):
    assert rules.rate(successes, trials, 0.5, above).verdict == verdict
    assert (
        rules.rate(2, 2, 0.1).verdict == INCONCLUSIVE
    )  # its interval lies above, but two are too few


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([1.0, 1.01, 0.99], SUPPORTED), ([1.2, 1.21, 1.2], PARTLY), ([2, 2.01, 2], REFUTED), ([0.2, 0.2, 0.2], REFUTED),
     ([1.4, 1.5, 1.45], INCONCLUSIVE), ([1.1, 1.1, 1.1], SUPPORTED), ([1.0, 1.0], INCONCLUSIVE)],
)  # fmt: skip
def test_ratio_in_interval(ratios, verdict):
    assert rules.ratio_in_interval(np.log(ratios), 0.9, 1.11, partly=(0.67, 1.5)).verdict == verdict


def test_a_ratio_may_have_an_open_end():
    assert (
        rules.ratio_in_interval(np.log([5.0, 6.0, 5.5]), 2.0, np.inf, partly=(1.2, np.inf)).verdict
        == SUPPORTED
    )
    assert rules.ratio_in_interval(np.log([0.5, 0.6, 0.55]), 0.0, 0.9).verdict == SUPPORTED


def test_monotone_trend():
    rise = np.array([[1, 2, 3.0], [1, 2.2, 3], [1, 2, 3.1]])
    assert rules.monotone_trend(rise, [1, 2, 64], 1.0).verdict == SUPPORTED
    assert rules.monotone_trend(rise[:, ::-1], [64, 2, 1], 1.0).verdict == SUPPORTED
    assert rules.monotone_trend(rise, [3, 2, 1], 1.0).verdict == REFUTED
    assert rules.monotone_trend(rise[:2], [1, 2, 3], 1.0).verdict == INCONCLUSIVE
    hump = np.array([[0, 9, 5.0], [0.1, 9, 5], [0, 9.1, 5]])
    assert rules.monotone_trend(hump, [1, 2, 3], 1.0).verdict == PARTLY


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [([SUPPORTED] * 3, SUPPORTED), ([REFUTED] * 3, REFUTED), ([INCONCLUSIVE] * 2, INCONCLUSIVE), ([PARTLY] * 2, PARTLY),
     ([SUPPORTED, REFUTED], PARTLY), ([SUPPORTED, INCONCLUSIVE], PARTLY), ([PARTLY, REFUTED], PARTLY),
     ([PARTLY, INCONCLUSIVE], PARTLY), ([REFUTED, INCONCLUSIVE], INCONCLUSIVE), ([SUPPORTED, PARTLY], PARTLY)],
)  # fmt: skip
def test_combine(verdicts, expected):
    for p in (None, 0.001, 0.025):
        assert (
            rules.combine([Finding(v, 1.0, 0.0, 2.0, "", 5, "", p) for v in verdicts]) == expected
        )


def test_combine_asks_more_of_one_positive_part_among_many():
    def among(p: float, others: int) -> str:
        negative = Finding(REFUTED, 0.0, 0.0, 0.0, "", 5, "", 0.5)
        return rules.combine(
            [Finding(SUPPORTED, 1.0, 0.1, 2.0, "", 5, "", p)] + [negative] * others
        )

    assert [among(0.02, others) for others in (1, 2)] == [PARTLY, INCONCLUSIVE]
    assert [among(0.005, others) for others in (2, 9)] == [PARTLY, PARTLY]
    with pytest.raises(ValueError, match="at least one part"):
        rules.combine([])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    array, good = np.array([1.0, bad, 2.0]), np.ones(3)
    for call in (
        lambda: rules.greater_by(array, 1.0), lambda: rules.equivalent_within(array, 1.0),
        lambda: rules.exact_within(array, 1.0), lambda: rules.ratio_in_interval(array, 0.5, 2.0),
        lambda: rules.interaction(good, good, array, good, 1.0),
        lambda: rules.monotone_trend(np.stack([array] * 3), [1, 2, 3], 1.0),
        lambda: rules.monotone_trend(np.ones((3, 3)), array, 1.0),
        lambda: rules.greater_by(good, bad), lambda: rules.greater_by(good, -1.0),
        lambda: rules.equivalent_within(good, 0.0), lambda: rules.ratio_in_interval(good, 2.0, 0.5),
        lambda: rules.ratio_in_interval(good, 0.5, 2.0, partly=(1.0, 3.0)), lambda: rules.rate(4, 3, 0.5),
        lambda: rules.rate(1, 3, 1.5), lambda: rules.interaction(good, good, good, np.ones(2), 1.0),
        lambda: rules.greater_by(np.ones((3, 1)), 1.0),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            call()


# Properties. Eighths and powers of two keep the arithmetic exact, so that no rounding excuses a verdict that moves.
eighths = st.integers(-80, 80).map(lambda i: i / 8)
seeds = st.lists(eighths, min_size=1, max_size=8).map(np.array)
margins = st.integers(1, 40).map(lambda i: i / 8)
tables = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(eighths, min_size=k, max_size=k), min_size=3, max_size=6).map(
        np.array
    )
)
ORDER = [REFUTED, INCONCLUSIVE, PARTLY, SUPPORTED]


@settings(max_examples=150, deadline=None)
@given(seeds, margins, st.integers(0, 80).map(lambda i: i / 8))
def test_a_larger_effect_moves_the_verdict_one_way(difference, margin, more):
    before, after = (
        rules.greater_by(values, margin).verdict for values in (difference, difference + more)
    )
    assert ORDER.index(after) >= ORDER.index(before)


@settings(max_examples=150, deadline=None)
@given(seeds, margins)
def test_a_larger_margin_never_helps_a_difference_nor_hurts_an_equivalence(difference, margin):
    low, high = (ORDER.index(rules.greater_by(difference, m).verdict) for m in (margin, 2 * margin))
    assert high <= low
    low, high = (
        ORDER.index(rules.equivalent_within(difference, m).verdict) for m in (margin, 2 * margin)
    )
    assert high >= low


@settings(max_examples=150, deadline=None)
@given(seeds, tables, margins, st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(difference, table, margin, random):
    mixed = difference[random.sample(range(len(difference)), len(difference))]
    assert rules.greater_by(mixed, margin) == rules.greater_by(difference, margin)
    assert rules.equivalent_within(mixed, margin) == rules.equivalent_within(difference, margin)
    assert rules.ratio_in_interval(mixed, 0.5, 2.0) == rules.ratio_in_interval(difference, 0.5, 2.0)
    rows = random.sample(range(len(table)), len(table))
    order = list(range(table.shape[1]))
    assert rules.monotone_trend(table[rows], order, margin) == rules.monotone_trend(
        table, order, margin
    )


@settings(max_examples=150, deadline=None)
@given(seeds, tables, margins, st.integers(-6, 6).map(lambda i: 2.0**i))
def test_the_unit_does_not_matter(difference, table, margin, scale):
    order = list(range(table.shape[1]))
    for rule in (
        rules.greater_by,
        rules.equivalent_within,
        lambda t, m: rules.monotone_trend(t, order, m),
    ):
        values = difference if rule in (rules.greater_by, rules.equivalent_within) else table
        plain, scaled = rule(values, margin), rule(scale * values, scale * margin)
        assert scaled.verdict == plain.verdict
        assert scaled.effect == pytest.approx(scale * plain.effect)
        assert scaled.p == pytest.approx(plain.p)


@settings(max_examples=50, deadline=None)
@given(seeds, margins)
def test_equivalence_has_no_sign(difference, margin):
    assert (
        rules.equivalent_within(-difference, margin).verdict
        == rules.equivalent_within(difference, margin).verdict
    )
