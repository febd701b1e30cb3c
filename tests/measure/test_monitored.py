"""Scripted divergence: the scripts, what TensorBoard reads of it, and when it is seen, by hand."""

import math

import pytest
import torch

from normlab.errors import NormLabError
from normlab.measure import monitored
from normlab.measure.monitored import CALM, first_seen, rate_factor, read_scalars, run, warning


def test_rates_by_script():
    assert [rate_factor(script, CALM - 1) for script in monitored.SCRIPTS] == [1.0] * 5
    assert rate_factor("slow", CALM + 1) == pytest.approx(1.01**2)
    assert rate_factor("fast", CALM) == pytest.approx(1.05)
    assert (rate_factor("jump", CALM), rate_factor("spoiled", CALM)) == (1000.0, 1.0)


def curve(*after):
    """Of 100 at first, 2 in the recent calm steps, and then as given."""
    calm = [100.0] * (CALM - monitored.RECENT) + [2.0] * monitored.RECENT
    return list(enumerate([*calm, *after]))


@pytest.mark.parametrize(
    ("after", "seen"),
    [
        ((6.0, 6.0), None),
        ((1.0, 6.1, 9.0), CALM + 1),
        ((math.nan,), CALM),
        ((1.0, math.inf), CALM + 1),
    ],
)
def test_seen_is_what_is_three_times_the_recent_largest(after, seen):
    assert first_seen(curve(*after)) == seen


def test_what_is_not_logged_is_not_seen():
    values = curve(*[1.0] * 10, *[50.0] * 30, *[1.0] * 20)
    assert first_seen(values) == CALM + 10
    assert first_seen(values, every=50) is None
    assert first_seen(curve(*[1.0] * 10, *[50.0] * 60), every=50) == CALM + 50


def test_scalars_are_read_back_as_they_were_written(tmp_path):
    last, setup = run("none", "none", 0.05, CALM + 5, 3, tmp_path)
    scalars = read_scalars(tmp_path)
    assert last == CALM + 5 and setup.steps == last
    for tag in monitored.TAGS:
        assert [step for step, _ in scalars[tag]] == list(range(last))
    assert scalars["loss"][0][1] == pytest.approx(math.log(10), abs=1.0)


def test_the_first_scalars_are_loss_and_length_of_the_gradient(tmp_path):
    torch.manual_seed(0)
    run("none", "none", 1e-30, 1, 3, tmp_path)
    scalars = read_scalars(tmp_path)
    _, setup = run("none", "none", 1e-30, 1, 3, tmp_path / "again")
    x, y = setup.data.batch(0)
    y = monitored._partly_guessed(y, 10, torch.Generator().manual_seed(3))
    loss = monitored.loss_of(setup.model, x, y)
    gradients = torch.autograd.grad(loss, list(setup.model.parameters()))
    length = math.sqrt(sum(float(one.square().sum()) for one in gradients))
    assert scalars["loss"][0][1] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert scalars["gradient_norm"][0][1] == pytest.approx(length, rel=1e-5)


def test_a_fifth_of_the_labels_is_guessed():
    y = torch.arange(10).repeat(1000)
    drawn = monitored._partly_guessed(y, 10, torch.Generator().manual_seed(0))
    assert float((drawn != y).float().mean()) == pytest.approx(0.18, abs=0.02)
    assert drawn.min() == 0 and drawn.max() == 9


def test_a_spoiled_batch_is_seen_in_its_own_step_and_a_calm_training_has_no_end():
    spoiled = warning("none", "spoiled", 0.05, CALM + 30, 3)[0]
    assert spoiled["alarm"] == 1 and spoiled["lead"] > 0 and spoiled["lost"] == 1
    calm = warning("none", "none", 0.05, CALM + 30, 3)[0]
    assert calm["ended"] == calm["lost"] == 0
    assert all(math.isfinite(value) for value in calm.values())


def test_the_end_is_the_first_loss_that_is_not_finite(tmp_path):
    last, _ = run("none", "jump", 1e6, CALM + 30, 3, tmp_path)
    values = [value for _, value in read_scalars(tmp_path)["loss"]]
    assert len(values) == last + 1 and not math.isfinite(values[-1])
    assert all(math.isfinite(value) for value in values[:-1])


def test_an_explosion_needs_two_steps_on_end(tmp_path):
    setup = run("none", "none", 0.05, 1, 3, tmp_path)[1]
    far = 101 * setup.data.trivial_loss
    scalars = {"loss": list(enumerate([far, 1.0, far, far, 1.0, math.nan]))}
    found = [monitored._diverged(scalars, step, setup) for step in range(6)]
    assert found == [False, False, False, True, False, True]


def test_refuses_another_script(tmp_path):
    with pytest.raises(NormLabError, match="slow, fast, jump, spoiled, none"):
        run("none", "sudden", 0.05, 3, 0, tmp_path)
