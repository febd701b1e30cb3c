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


def test_of_a_few_steps_only_an_explosion_is_said():
    flat, falling = [2.31] * 16, [4.6 - 0.05 * step for step in range(16)]
    for total in (1, 2, 3, 5, 10, 16):
        steps = list(range(1, total + 1))
        assert divergence(steps, flat[:total], total, TRIVIAL) is None
        assert divergence(steps, falling[:total], total, TRIVIAL) is None
    assert "not finite" in divergence([1], [math.nan], 1, TRIVIAL)
    assert "exploded" in divergence([1, 2], [900.0, 950.0], 2, TRIVIAL)


@pytest.mark.parametrize("total", [20, 30, 39])
def test_a_short_run_that_falls_is_not_stuck(total):
    """As a transformer on text does, which begins far above the trivial loss."""
    steps = list(range(1, total + 1))
    falling = [4.6 - 2.0 * step / total for step in steps]
    assert divergence(steps, falling, total, TRIVIAL) is None
    assert "stuck" in divergence(steps, [2.31] * total, total, TRIVIAL)
    # With enough steps to get below, being above it at the end is an outcome.
    steps = [10 * step for step in steps]
    assert "stuck" in divergence(steps, falling, 10 * total, TRIVIAL)
