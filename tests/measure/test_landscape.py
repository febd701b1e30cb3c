"""Loss and gradient along the gradient: against softmax regression by hand, and under a change of
the weights' scale."""

import math

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.measure.along_training import MOMENTS, along_training
from normlab.measure.landscape import RELATIVE, STEPS, landscape
from normlab.models import build_model

RUN = ("model=plaincnn", "model.width=4", "data=digits", "data.batch_size=32", "norm=batchnorm")


def by_hand(w, x, y):
    """Loss and gradient of softmax regression with the weights w."""
    p = torch.softmax(x @ w.T, dim=1)
    target = nn.functional.one_hot(y, len(w)).to(x)
    return float(-(p[range(len(y)), y]).log().mean()), (p - target).T @ x / len(x)


def test_measures_of_softmax_regression_are_those_by_hand():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(16, 3, generator=generator, dtype=torch.float64), torch.arange(16) % 4
    model = nn.Linear(3, 4, bias=False, dtype=torch.float64)
    w = model.weight.detach().clone()
    _, g = by_hand(w, x, y)
    points = [by_hand(w - s * 0.5 * g, x, y) for s in STEPS]
    losses, changes = [one for one, _ in points], [float((one - g).norm()) for _, one in points]
    found = landscape(model, x, y, 0.5)
    # The loss is summed in float32.
    assert found["loss_range"] == pytest.approx(max(losses) - min(losses), rel=1e-4)
    assert found["gradient_change"] == pytest.approx(max(changes), rel=1e-4)
    slopes = [change / float(s * 0.5 * g.norm()) for s, change in zip(STEPS, changes, strict=True)]
    assert found["smoothness"] == pytest.approx(max(slopes), rel=1e-4)
    # W by d |W|, and h = |W| g.
    size = w.norm()
    moved = [by_hand(w - s * RELATIVE * size * g / g.norm(), x, y)[1] for s in STEPS]
    changes = [float(size * (one - g).norm()) for one in moved]
    assert found["relative_gradient_change"] == pytest.approx(max(changes), rel=1e-3)
    assert found["relative_turn"] == pytest.approx(max(changes) / float(size * g.norm()), rel=1e-3)
    assert torch.equal(model.weight, w) and model.weight.grad is None


def test_scale_of_weights_before_a_norm_is_in_the_raw_measures_alone():
    model = build_model(compose([*RUN]), "image", (1, 8, 8), 10).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 1, 8, 8, generator=generator, dtype=torch.float64)
    y = torch.arange(32) % 10
    before = landscape(model, x, y, 0.01)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(10)
    after = landscape(model, x, y, 0.01)
    for name, value in before.items():
        if name.startswith("relative_"):
            assert after[name] == pytest.approx(value, rel=0.02)  # eps has a scale
    assert after["smoothness"] < 0.5 * before["smoothness"]


def test_along_training_looks_without_a_trace_and_takes_the_lowest_loss():
    def run(*rates, look):
        return along_training((*RUN, "trainer.max_steps=40"), 0, rates, look)

    def difference(before, setup, step):
        pairs = zip(before.parameters(), setup.model.parameters(), strict=True)
        return {
            "step": step + 1.0,
            "moved": max(float((a - b).detach().abs().max()) for a, b in pairs),
        }

    def touch(before, setup, step):
        x, y = setup.data.batch(step)
        return landscape(before, x, y, 0.1)

    seen = run(0.1, look=difference)
    assert [one["step"] for one in seen.looks] == [1.0 + 2 * k for k in range(MOMENTS)]
    assert all(one["moved"] > 0 for one in seen.looks[1:])
    assert seen.log_median("step") == pytest.approx((math.log(19) + math.log(21)) / 2)
    assert seen.loss == run(0.1, look=touch).loss
    both = run(1e-6, 0.1, look=difference)
    assert (both.rate, both.loss) == (0.1, seen.loss)
