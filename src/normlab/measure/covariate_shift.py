"""Internal covariate shift: how far the inputs of layers, and the gradients of their weights, move
when the layers below are trained; and noise that makes them move."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from normlab.norms import Norm
from normlab.training.step import loss_of

_WEIGHTED = (nn.Conv2d, nn.Linear)
MEAN, DEVIATION, SPREAD = 0.5, 1.25, 0.1


class NoisyNorm(nn.Module):
    """A norm whose output is shifted and scaled at random in train mode, anew at every call.

        y[i, c] = s[i, c] * norm(x)[i, c] + m[i, c]

    for sample i and channel c, at all positions. A call draws a mean M[c] from U(-0.5, 0.5) and a
    deviation S[c] from U(1, 1.25), and around these each sample m[i, c] from U(M - 0.1, M + 0.1)
    and s[i, c] from N(S, 0.1²). So the norm's output has neither mean 0 nor variance 1, and other
    ones at every step.

    Shape: (N, C, H, W), the same out as in.
    Source: in the manner of the noisy batch norm of Santurkar et al. 2018 (arXiv 1805.11604).
    """

    def __init__(self, norm: nn.Module, seed: int) -> None:
        super().__init__()
        self.norm = norm
        self.seed = seed
        self.calls = 0  # in train mode; a copy goes on from it, and draws what this one will

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x)
        if not self.training:
            return y
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.calls)
        self.calls += 1
        n, channels = y.shape[:2]
        mean = MEAN * (2 * torch.rand(channels, generator=generator) - 1)
        deviation = 1 + (DEVIATION - 1) * torch.rand(channels, generator=generator)
        shift = mean + SPREAD * (2 * torch.rand(n, channels, generator=generator) - 1)
        scale = deviation + SPREAD * torch.randn(n, channels, generator=generator)
        return y * scale.to(y)[..., None, None] + shift.to(y)[..., None, None]


def add_noise(model: nn.Module, seed: int) -> None:
    """Put every norm of `model`, in place, into a `NoisyNorm` of a seed of its own."""
    norms = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, Norm)
    ]
    for index, (parent, name, child) in enumerate(norms):
        setattr(parent, name, NoisyNorm(child, 1000 * seed + index))


def input_drift(before: nn.Module, after: nn.Module, x: Tensor) -> float:
    """How far a step moved the inputs of layers, in their standard deviations.

    With mean m[c] and deviation d[c] of channel c of a layer's input for the same batch, in train
    mode, before and after:

        sqrt(sum over c of (m' - m)² + (d' - d)²  /  sum over c of d²)

    as the mean over convolutions and linear layers but the first, which reads the images.
    """
    drifts = []
    for old, new in zip(_inputs(before, x), _inputs(after, x), strict=True):
        mean, deviation = _moments(old)
        other_mean, other_deviation = _moments(new)
        moved = (other_mean - mean).square() + (other_deviation - deviation).square()
        drifts.append((moved.sum() / deviation.square().sum().clamp_min(1e-24)).sqrt())
    return float(torch.stack(drifts).mean())


def gradient_shift(before: nn.Module, after: nn.Module, x: Tensor, y: Tensor) -> float:
    """How much the gradients of layers change when the layers below make their step.

    With the gradient g of a layer's weights before, and g' where all parameters of lower layers are
    those after: |g' - g| / |g|, as the mean over convolutions and linear layers but the first. Of
    one batch, in train mode.

    Source: Santurkar et al. 2018, definition 2.1, whose difference is divided by |g| here.
    """
    mixed = copy.deepcopy(before).train()
    parameters = list(mixed.parameters())
    trained = [parameter.detach() for parameter in after.parameters()]
    weights = [module.weight for module in mixed.modules() if isinstance(module, _WEIGHTED)]
    places = [id(parameter) for parameter in parameters]
    gradients = torch.autograd.grad(loss_of(mixed, x, y), weights)
    shifts, done = [], 0
    for weight, gradient in list(zip(weights, gradients, strict=True))[1:]:
        # Parameters lie in the order of the layers.
        place = places.index(id(weight))
        with torch.no_grad():
            for index in range(done, place):
                parameters[index].copy_(trained[index])
        done = place
        (moved,) = torch.autograd.grad(loss_of(mixed, x, y), [weight])
        shifts.append((moved - gradient).norm() / gradient.norm().clamp_min(1e-24))
    return float(torch.stack(shifts).double().mean())


@torch.no_grad()
def _inputs(model: nn.Module, x: Tensor) -> list[Tensor]:
    """What each layer but the first reads."""
    model = copy.deepcopy(model).train()
    read: list[Tensor] = []

    def note(module: nn.Module, inputs: Any) -> None:
        read.append(inputs[0].double())

    for module in model.modules():
        if isinstance(module, _WEIGHTED):
            module.register_forward_pre_hook(note)
    model(x)
    return read[1:]


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of (N, C, ...)."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    variance, mean = torch.var_mean(x, dim=axes, correction=0)
    return mean, variance.sqrt()
