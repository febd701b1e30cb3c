"""What activation checkpointing does to batch norms: it computes the forward pass of a part once
more in the backward pass, in train mode, so that a batch norm in it counts each batch twice."""

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

STEPS, RATE = 5, 0.05


class Outcome(NamedTuple):
    """Of a few training steps: gradients of the last one, and all running statistics."""

    gradients: Tensor
    statistics: Tensor


def blocks(generator: torch.Generator, dtype: torch.dtype, momentum: float) -> nn.Sequential:
    """Three blocks of convolution, BatchNorm and ReLU with random weights, for (N, 3, H, W)."""
    layers = []
    for width in (3, 8, 8):
        norm = nn.BatchNorm2d(8, momentum=momentum)
        layers.append(nn.Sequential(nn.Conv2d(width, 8, 3, padding=1), norm, nn.ReLU()))
    net = nn.Sequential(*layers).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=dtype)
            parameter.add_(0.3 * drawn)
    return net


def doubled(momentum: float) -> float:
    """The weight that a new batch has after two updates with it: 1 - (1 - momentum)^2."""
    return 1 - (1 - momentum) ** 2


def halved(momentum: float) -> float:
    """The momentum of which two updates are one with `momentum`: 1 - sqrt(1 - momentum)."""
    return 1 - math.sqrt(1 - momentum)


def train(
    net: nn.Sequential,
    batches: Sequence[Tensor],
    *,
    momentum: float,
    reentrant: bool | None = None,
) -> Outcome:
    """Steps of gradient descent of a copy of `net`, on a loss that is the mean square of outputs
    against a fixed direction.

    Args:
        batches: inputs (N, 3, H, W), a step each.
        momentum: of all batch norms.
        reentrant: each block is checkpointed, by which of torch's two ways; None: none is.
    """
    net = copy.deepcopy(net).train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = momentum
    for x in batches:
        net.zero_grad()
        # The reentrant way passes no gradient where no input asks for one.
        h = x.clone().requires_grad_()
        for block in net:
            saved = reentrant is not None
            h = checkpoint(block, h, use_reentrant=reentrant) if saved else block(h)
        (h - x.mean()).square().mean().backward()
        gradients = [p.grad.clone() for p in net.parameters() if p.grad is not None]
        with torch.no_grad():
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter.sub_(RATE * gradient)
    kept = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var)]
    statistics = [buffer for buffer in kept if buffer is not None]
    return Outcome(_flat(gradients), _flat(statistics))


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference, over the largest entry of `b`."""
    return float((a - b).abs().max() / b.abs().max())


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
