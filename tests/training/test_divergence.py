"""The rules on made-up curves."""

import math

import pytest

from normlab.training.divergence import divergence, stuck

TRIVIAL = math.log(10)
FLAT = [2.31] * 12


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([2.3, 1.9, 1.5, 1.2], None),
        ([2.3, math.nan], "not finite"),
        ([2.3, math.inf], "not finite"),
        ([900.0, 2.2], None),  # a bad start that recovers
        ([900.0, 950.0], "exploded"),
        (FLAT, None),  # a run has its whole budget
    ],
)
def test_only_an_explosion_ends_a_run_early(losses, words):
    reason = divergence([10 * (i + 1) for i in range(len(losses))], losses, TRIVIAL)
    assert (reason is None) if words is None else (words in reason)


@pytest.mark.parametrize(
    ("val_loss", "losses", "is_stuck"),
    [
        (2.30, FLAT, True),
        (2.20, FLAT, False),  # below the trivial loss of the same split, which is all that counts
        (3.00, [4.0, 3.6, 3.2, 2.9, 2.6, 2.4], True),  # above it and falling: not yet
        (2.50, [2.3, 2.0, 1.7, 1.5], False),  # its evaluation is broken, or it overfits: it trains
        (2.31, [2.3, 1.7, 2.3, 2.3, 2.3, 2.3, 2.3, 2.3], True),  # it had trained once
    ],
)
def test_what_did_not_train_is_said_after_the_last_step(val_loss, losses, is_stuck):
    assert (stuck(val_loss, losses, TRIVIAL, 120) is not None) == is_stuck


def test_of_a_few_steps_nothing_is_said():
    assert stuck(2.4, FLAT, TRIVIAL, 39) is None
    assert "after step 40" in stuck(2.4, FLAT, TRIVIAL, 40)
