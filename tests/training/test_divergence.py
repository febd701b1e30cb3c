"""The rule on made-up curves."""

import math

import pytest

from normlab.training.divergence import divergence

TRIVIAL = math.log(10)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([2.3, 1.9, 1.5, 1.2], None),
        ([2.3, math.nan], "not finite"),
        ([2.3, math.inf], "not finite"),
        ([900.0, 2.2], None),  # a bad start that recovers
        ([900.0, 950.0], "exploded"),
        ([2.31, 2.30, 2.30, 2.30, 2.30, 2.30], "stuck"),
        ([2.31, 2.30, 2.30, 2.30], None),  # not half way yet
        ([2.31, 2.30, 2.30, 2.30, 2.20, 2.1], None),  # late, but it trains
        ([2.31, 2.30, 2.10, 2.30, 2.30, 2.30], "stuck"),  # a dip in the first quarter only
        ([4.0, 3.6, 3.2, 2.9, 2.6, 2.4], None),  # above the trivial loss and falling
        (
            [4.0, 3.6, 3.2, 2.9, 2.6, 2.4, 2.35, 2.33, 2.32, 2.31, 2.31, 2.31],
            "stuck",
        ),  # and never under it
    ],
)
def test_rule(losses, words):
    steps = [10 * (i + 1) for i in range(len(losses))]
    reason = divergence(steps, losses, 120, TRIVIAL)
    assert (reason is None) if words is None else (words in reason)


def test_the_mean_of_more_than_a_quarter_is_no_quarter():
    assert divergence([40], [2.4], 40, TRIVIAL) is None
    assert divergence([20], [3.5], 40, TRIVIAL) is None  # which goes on to 1.3
    assert divergence([20, 40], [3.5, 1.3], 40, TRIVIAL) is None
    assert "stuck" in divergence([20, 40], [2.31, 2.31], 40, TRIVIAL)
