"""RMSNorm and LayerNorm of rows, as autograd functions over the kernels.

Old-style functions: `setup_context` binds arguments by their names, which takes longer than the
norm of a row. Transforms of torch.func never come here (see `conditions.watched`), so functions are
applied without the question whether one is at work.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.norms.autograd_functions import Gradients, directly
from normlab.norms.kernels.conditions import (
    by_operations,
    enough_memory,
    kernels_for_gradient,
    needs_graph,
)
from normlab.norms.kernels.library import Functions
from normlab.norms.tensors import narrow, wide


def rms_rows(kernels: Functions, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """weight * x / sqrt(mean of x² + eps) over the last dimension of x (..., D), weight (D,)."""
    x = x.contiguous()
    if needs_graph(x, weight):
        y: Tensor = _apply_rms(kernels, x, weight, eps)
        return y
    return _rms_forward(kernels, x, weight, eps)


def layer_rows(kernels: Functions, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """weight * (x - mean) / sqrt(variance + eps) + bias over the last dimension of x (..., D)."""
    x = x.contiguous()
    if needs_graph(x, weight, bias):
        y: Tensor = _apply_layer(kernels, x, weight, bias, eps)
        return y
    return _layer_forward(kernels, x, weight, bias, eps, None)


def rms_operations(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last dimension, of operations that torch can do anything with."""
    return narrow(F.rms_norm(wide(x), weight.shape, weight, eps), x)


def _layer_operations(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return narrow(F.layer_norm(wide(x), weight.shape, weight, bias, eps), x)


def _rms_forward(kernels: Functions, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    y = torch.empty_like(x)
    width = weight.numel()
    rows = x.numel() // width
    kernels.rms_forward(x.data_ptr(), weight.data_ptr(), 0, y.data_ptr(), 0, rows, width, eps)
    return y


def _layer_forward(
    kernels: Functions,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    statistics: Tensor | None,
) -> Tensor:
    y = torch.empty_like(x)
    width = weight.numel()
    kernels.layer_forward(
        x.data_ptr(),
        weight.data_ptr(),
        bias.data_ptr(),
        y.data_ptr(),
        0 if statistics is None else statistics.data_ptr(),
        x.numel() // width,
        width,
        eps,
    )
    return y


class _RMSRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: Functions, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return _rms_forward(kernels, x, weight, eps)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, weight = ctx.saved_tensors
        kernels = kernels_for_gradient(dy)
        if kernels is None:
            wanted = ctx.needs_input_grad[1:3]
            found = by_operations(
                lambda x, weight: rms_operations(x, weight, ctx.eps), (x, weight), wanted, dy
            )
            return None, *found, None
        dy = dy.contiguous()
        dx, dweight = torch.empty_like(x), torch.empty_like(weight)
        width = weight.numel()
        done = kernels.rms_backward(
            x.data_ptr(),
            dy.data_ptr(),
            weight.data_ptr(),
            0,
            dx.data_ptr(),
            dweight.data_ptr(),
            0,
            x.numel() // width,
            width,
            ctx.eps,
        )
        enough_memory(done)
        return None, dx, dweight, None


class _LayerRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernels: Functions, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        rows = x.numel() // weight.numel()
        statistics = torch.empty(rows, 2, dtype=torch.float64)
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.eps = eps
        return _layer_forward(kernels, x, weight, bias, eps, statistics)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, weight, bias, statistics = ctx.saved_tensors
        kernels = kernels_for_gradient(dy)
        if kernels is None:
            wanted = ctx.needs_input_grad[1:4]
            found = by_operations(
                lambda x, weight, bias: _layer_operations(x, weight, bias, ctx.eps),
                (x, weight, bias),
                wanted,
                dy,
            )
            return None, *found, None
        dy = dy.contiguous()
        dx, dweight = torch.empty_like(x), torch.empty_like(weight)
        dbias = torch.empty_like(weight)
        width = weight.numel()
        done = kernels.layer_backward(
            x.data_ptr(),
            dy.data_ptr(),
            weight.data_ptr(),
            statistics.data_ptr(),
            dx.data_ptr(),
            dweight.data_ptr(),
            dbias.data_ptr(),
            x.numel() // width,
            width,
            0.0,
        )
        enough_memory(done)
        return None, dx, dweight, dbias, None


_apply_rms, _apply_layer = directly(_RMSRows), directly(_LayerRows)
