"""The set norm: one mean and variance for any samples, pixels and channels, over the kernels."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from normlab.norms.first_order import Gradients, apply
from normlab.norms.kernels.conditions import (
    by_operations,
    enough_memory,
    kernels_for_gradient,
    needs_graph,
)
from normlab.norms.kernels.library import Functions
from normlab.norms.tensors import MAPS, is_channels_last, narrow, wide


@dataclass(frozen=True)
class SetNorm:
    """Which values share a mean and a variance: those of `samples` consecutive samples at all
    positions, in `group` neighbouring channels."""

    samples: int
    group: int
    eps: float
    centred: bool = True  # else the mean counts as 0, and the variance is the mean square


def set_norm(
    kernels: Functions, norm: SetNorm, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """weight (x - mean) / sqrt(variance + eps) + bias.

    Args:
        x: maps (N, C, H, W), contiguous or channels_last; norm.samples divides N.
        weight, bias: (C,), or None for 1 and 0.

    Returns:
        y, as x; and without gradients means and biased variances (2, N / samples, C / group), in
        float64.
    """
    if needs_graph(x, weight, bias):
        y: tuple[Tensor, Tensor] = apply(_SetNorm, kernels, norm, x, weight, bias)
        return y
    return _forward(kernels, norm, x, weight, bias)


def set_operations(
    norm: SetNorm, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The same of operations that torch can do anything with: y, means and variances."""
    n, c, height, width = x.shape
    shape = n // norm.samples, norm.samples, c // norm.group, norm.group, height, width
    h = wide(x).reshape(shape)
    dims = (1, 3, 4, 5)
    mean = h.mean(dims, keepdim=True) if norm.centred else h.new_zeros(())
    centred = h - mean
    variance = centred.square().mean(dims, keepdim=True)
    y = (centred * (variance + norm.eps).rsqrt()).reshape(x.shape)
    if weight is not None:
        y = y * weight[:, None, None]
    if bias is not None:
        y = y + bias[:, None, None]
    if is_channels_last(x):
        y = y.contiguous(memory_format=MAPS)
    groups = shape[0], shape[2]
    return narrow(y, x), mean.expand_as(variance).reshape(groups), variance.reshape(groups)


def _geometry(norm: SetNorm, x: Tensor) -> tuple[int | float, ...]:
    n, c, height, width = x.shape
    return (
        n // norm.samples,
        norm.samples,
        c,
        height * width,
        norm.group,
        is_channels_last(x),
        norm.centred,
        norm.eps,
    )


def _pointer(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _forward(
    kernels: Functions, norm: SetNorm, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(x)
    n, c = x.shape[:2]
    statistics = torch.empty(2, n // norm.samples, c // norm.group, dtype=torch.float64)
    done = kernels.set_forward(
        x.data_ptr(),
        _pointer(weight),
        _pointer(bias),
        y.data_ptr(),
        statistics.data_ptr(),
        *_geometry(norm, x),
    )
    enough_memory(done)
    return y, statistics


class _SetNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kernels: Functions,
        norm: SetNorm,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        y, statistics = _forward(kernels, norm, x, weight, bias)
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.norm = norm
        ctx.mark_non_differentiable(statistics)
        return y, statistics

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> Gradients:
        x, weight, bias, statistics = ctx.saved_tensors
        kernels = kernels_for_gradient(dy)
        if kernels is None:
            wanted = ctx.needs_input_grad[2:]
            inputs = x, weight, bias
            found = by_operations(lambda *i: set_operations(ctx.norm, *i)[0], inputs, wanted, dy)
            return None, None, *found
        last = is_channels_last(x)
        dy = dy.contiguous(memory_format=MAPS if last else torch.contiguous_format)
        dx = torch.empty_like(x)
        dweight = None if weight is None else torch.empty_like(weight)
        dbias = None if bias is None else torch.empty_like(bias)
        done = kernels.set_backward(
            x.data_ptr(),
            dy.data_ptr(),
            _pointer(weight),
            statistics.data_ptr(),
            dx.data_ptr(),
            _pointer(dweight),
            _pointer(dbias),
            *_geometry(ctx.norm, x),
        )
        enough_memory(done)
        return None, None, dx, dweight, dbias
