"""What no rule may depend on: the order of seeds, the unit, the sign where it has no meaning."""

import numpy as np
import pytest
from deciding import decide, verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.claims.rules import AtLeast, Between, Rises, Within
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED

# Properties. Eighths and powers of two keep the arithmetic exact, so that no rounding excuses a
# verdict that moves.
eighths = st.integers(-80, 80).map(lambda i: i / 8)
seeds = st.lists(eighths, min_size=1, max_size=8).map(np.array)
margins = st.integers(1, 40).map(lambda i: i / 8)
ORDER = [REFUTED, INCONCLUSIVE, PARTLY, SUPPORTED]


@st.composite
def tables(draw):
    """Three to six seeds by two to five settings."""
    k = draw(st.integers(2, 5))
    row = st.lists(eighths, min_size=k, max_size=k)
    return np.array(draw(st.lists(row, min_size=3, max_size=6)))


def rank(rule, values):
    """How much the verdict is in favour of the claim."""
    return ORDER.index(verdict(rule, values))


@settings(max_examples=60, deadline=None)
@given(seeds, margins, st.integers(0, 80).map(lambda i: i / 8))
def test_a_larger_effect_moves_the_verdict_one_way(difference, margin, more):
    assert rank(AtLeast(margin), difference + more) >= rank(AtLeast(margin), difference)


@settings(max_examples=60, deadline=None)
@given(seeds, margins)
def test_a_larger_margin_never_helps_a_difference_nor_hurts_an_equivalence(difference, margin):
    assert rank(AtLeast(2 * margin), difference) <= rank(AtLeast(margin), difference)
    assert rank(Within(2 * margin), difference) >= rank(Within(margin), difference)


@settings(max_examples=60, deadline=None)
@given(seeds, tables(), margins, st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(difference, table, margin, random):
    mixed = difference[random.sample(range(len(difference)), len(difference))]
    for rule in (AtLeast(margin), Within(margin), Between(0.5, 2.0)):
        assert decide(rule, mixed) == decide(rule, difference)
    rows = random.sample(range(len(table)), len(table))
    rises = Rises(tuple(range(table.shape[1])), margin)
    assert decide(rises, table[rows]) == decide(rises, table)


@settings(max_examples=60, deadline=None)
@given(seeds, tables(), margins, st.integers(-6, 6).map(lambda i: 2.0**i))
def test_the_unit_does_not_matter(difference, table, margin, scale):
    order = tuple(range(table.shape[1]))
    for rule, scaled_rule, array in (
        (AtLeast(margin), AtLeast(scale * margin), difference),
        (Within(margin), Within(scale * margin), difference),
        (Rises(order, margin), Rises(order, scale * margin), table),
    ):
        plain, scaled = decide(rule, array), decide(scaled_rule, scale * array)
        assert scaled.verdict == plain.verdict
        assert scaled.effect == pytest.approx(scale * plain.effect)
        assert scaled.p == pytest.approx(plain.p)


@settings(max_examples=50, deadline=None)
@given(seeds, margins)
def test_equivalence_has_no_sign(difference, margin):
    assert verdict(Within(margin), -difference) == verdict(Within(margin), difference)
