"""Shift of inputs and gradients: where it is known, and noise of the moments that it says."""

import copy

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.measure.covariate_shift import NoisyNorm, add_noise, gradient_shift, input_drift
from normlab.models import build_model
from normlab.training.setup import set_up
from normlab.training.step import loss_of

RUN = ("model=plaincnn", "model.width=4", "data=digits", "data.batch_size=32", "norm=batchnorm")


def chain():
    """Three linear layers with random weights, and a batch."""
    torch.manual_seed(0)
    x, y = torch.randn(64, 5), torch.arange(64) % 4
    return nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 4)), x, y


def test_drift_of_inputs_that_are_shifted_by_one_deviation():
    model, x, _ = chain()
    after = copy.deepcopy(model)
    with torch.no_grad():
        after[0].bias += model[0](x).std(0, correction=0)
        after[1].weight.zero_()  # and what it gives moves to its bias
        after[1].bias.copy_(model[1](model[0](x)).mean(0))
    # The input of the second layer moves by 1, that of the third loses all of its deviation: 1.
    assert input_drift(model, after, x) == pytest.approx(1.0, rel=1e-4)
    assert input_drift(model, model, x) == 0


def test_gradient_shift_is_of_the_layers_below_alone():
    model, x, y = chain()
    last = copy.deepcopy(model)
    with torch.no_grad():
        last[2].weight.add_(1.0)
    assert gradient_shift(model, last, x, y) == 0  # nothing lies above it
    first = copy.deepcopy(model)
    with torch.no_grad():
        first[0].weight.add_(0.1)

    def gradients(net):
        return torch.autograd.grad(loss_of(net, x, y), [net[1].weight, net[2].weight])

    pairs = list(zip(gradients(first), gradients(model), strict=True))
    expected = sum(float((a - b).norm() / b.norm()) for a, b in pairs) / 2
    assert gradient_shift(model, first, x, y) == pytest.approx(expected, rel=1e-4)


def test_noise_has_other_moments_at_every_call_and_none_in_eval_mode():
    noisy = NoisyNorm(nn.Identity(), seed=0)
    x = torch.randn(4000, 50, 2, 2, generator=torch.Generator().manual_seed(0))
    twin = copy.deepcopy(noisy)
    first, second = noisy(x), noisy(x)
    assert torch.equal(twin(x), first) and not torch.equal(first, second)
    for y in (first, second):
        means, deviations = y.mean((0, 2, 3)), y.std((0, 2, 3))
        assert means.abs().max() < 0.52 and means.std() > 0.2
        assert deviations.min() > 0.98 and deviations.max() < 1.29
    assert not torch.allclose(first.mean((0, 2, 3)), second.mean((0, 2, 3)), atol=0.1)
    assert torch.equal(noisy.eval()(x), x)


def test_noise_is_behind_every_norm_and_trains_on_with_the_same_weights():
    model = build_model(compose([*RUN]), "image", (1, 8, 8), 10)
    plain = copy.deepcopy(model)
    add_noise(model, 3)
    noisy = [module for module in model.modules() if isinstance(module, NoisyNorm)]
    assert len(noisy) == 5 and len({one.seed for one in noisy}) == 5
    pairs = zip(model.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    cfg = compose([*RUN, "trainer.max_steps=5"])
    setup = set_up(cfg, adapt=lambda net, shape: add_noise(net, 3))
    assert torch.isfinite(setup.train()).all()
    groups = [len(group["params"]) for group in setup.optimizer.param_groups]
    assert groups == [len(group["params"]) for group in set_up(cfg).optimizer.param_groups]
