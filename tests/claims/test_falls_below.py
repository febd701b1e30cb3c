"""`FallsBelow`, the rule of a bound: below it something is lost, at it not; how often it errs."""

import numpy as np
import pytest

from normlab.claims.looks import LEVELS
from normlab.claims.rules import FallsBelow
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED

RULE = FallsBelow(1.0)
EXPERIMENTS = 20_000


def samples(fall_below, fall_at, n=5, noise=0.1):
    """Of a reference, of a setting below the bound, and of the bound: columns of equal noise."""
    spread = noise * (np.arange(n) - (n - 1) / 2)
    return tuple(80 - fall + spread for fall in (0.0, fall_below, fall_at))


@pytest.mark.parametrize(
    ("fall_below", "fall_at", "expected"),
    [
        (4.0, 0.0, SUPPORTED),
        (4.0, -3.0, SUPPORTED),  # better at the bound is no loss
        (0.0, 0.0, REFUTED),  # nothing falls
        (4.0, 4.0, REFUTED),  # it falls from further up
        (0.0, 4.0, REFUTED),
        (1.0, 0.0, INCONCLUSIVE),
        (4.0, 1.0, INCONCLUSIVE),
    ],
)
def test_both_must_be_shown_and_either_refutes(fall_below, fall_at, expected):
    finding = RULE.decide(samples(fall_below, fall_at), "points")
    assert finding.verdict == expected
    assert finding.effect == pytest.approx(fall_below)
    assert (finding.p < 0.05) == (expected != INCONCLUSIVE)


def test_it_says_its_number_and_refuses_a_negative_one():
    assert "supported above 2.5" in FallsBelow(2.5).words
    with pytest.raises(ValueError):
        FallsBelow(-1.0)


@pytest.mark.parametrize("n", [5, 12, 20])
@pytest.mark.parametrize("looks", [(5, 8, 12), None])
def test_it_is_seldom_wrong(n, looks):
    """At each edge of what it asks, in the least favourable place of the other."""
    level = {"level": LEVELS[looks]} if looks else {}
    rng = np.random.default_rng(0)
    reference, setting, bound = rng.standard_normal((3, n, EXPERIMENTS))

    def share(fall_below, fall_at, word):
        values = (reference, setting - fall_below, bound - fall_at)
        return (RULE.decide_all(values, **level).verdict == word).mean()

    # False support: one of both is just not so, the other by far.
    assert share(1.0, -50.0, SUPPORTED) <= 0.03
    assert share(50.0, 1.0, SUPPORTED) <= 0.03
    # False refutation: both are just so, and each could be refuted.
    assert share(1.0, 1.0, REFUTED) <= 0.055
    # And it finds what is there.
    assert share(1 + 12 / np.sqrt(n), 1 - 12 / np.sqrt(n), SUPPORTED) >= 0.8
