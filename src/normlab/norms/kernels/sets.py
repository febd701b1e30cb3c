"""The set norm: one mean and variance for any samples, pixels and channels, over the kernels."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from normlab.norms.autograd_functions import Gradients, directly
from normlab.norms.kernels.conditions import (
    by_operations,
    enough_memory,
    kernels_for_gradient,
    needs_graph,
)
from normlab.norms.kernels.library import Functions
from normlab.norms.tensors import MAPS, is_channels_last, narrow, wide


class SetNorm(NamedTuple):
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
    geometry = _geometry(norm, x)
    if needs_graph(x, weight, bias):
        y: tuple[Tensor, Tensor] = _apply_set(kernels, norm, geometry, x, weight, bias)
        return y
    return _forward(kernels, geometry, x, weight, bias)


def update_running(
    kernels: Functions,
    statistics: Tensor,
    values: int,
    running_mean: Tensor,
    running_var: Tensor,
    share: float,
) -> None:
    """One update of running statistics (C,), with the average over sets of one channel a group.

    Args:
        statistics: of `set_norm`.
        values: how many each is of.
    """
    _, sets, channels = statistics.shape
    kernels.running(
        statistics.data_ptr(),
        running_mean.data_ptr(),
        running_var.data_ptr(),
        sets,
        channels,
        values,
        share,
    )
    increment_version((running_mean, running_var))


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


_Geometry = tuple[int, int, int, int, int, bool, bool, float]


def _geometry(norm: SetNorm, x: Tensor) -> _Geometry:
    """As the kernels are told it: sets, samples, channels, pixels, group, last, centred, eps."""
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


def _pointer(x: Tensor | None) -> int:
    return 0 if x is None else x.data_ptr()


def _forward(
    kernels: Functions, geometry: _Geometry, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    y = torch.empty_like(x)
    sets, _, channels, _, group, *_ = geometry
    statistics = torch.empty(2, sets, channels // group, dtype=torch.float64)
    done = kernels.set_forward(
        x.data_ptr(),
        _pointer(weight),
        _pointer(bias),
        y.data_ptr(),
        statistics.data_ptr(),
        *geometry,
    )
    enough_memory(done)
    return y, statistics


class _SetNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kernels: Functions,
        norm: SetNorm,
        geometry: _Geometry,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        y, statistics = _forward(kernels, geometry, x, weight, bias)
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.norm = norm
        ctx.geometry = geometry
        ctx.mark_non_differentiable(statistics)
        return y, statistics

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Tensor) -> Gradients:
        x, weight, bias, statistics = ctx.saved_tensors
        kernels = kernels_for_gradient(dy)
        if kernels is None:
            wanted = ctx.needs_input_grad[3:]
            inputs = x, weight, bias
            found = by_operations(lambda *i: set_operations(ctx.norm, *i)[0], inputs, wanted, dy)
            return None, None, None, *found
        last = ctx.geometry[5]
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
            *ctx.geometry,
        )
        enough_memory(done)
        return None, None, None, dx, dweight, dbias


_apply_set = directly(_SetNorm)
