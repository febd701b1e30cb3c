"""Normalization where torch has no fast kernel: statistics over a dimension that is not the innermost in memory.

On channels_last maps, torch's group norm on the CPU takes the variance as mean(x²) - mean(x)², which at a mean of 100
deviations is wrong in the second digit, and with few channels a group it takes 4 to 14 times a batch norm. Layer norm
over the channels of contiguous maps costs two transpositions. These autograd functions reduce along the stride instead,
centre before they square, and work in place on what little they allocate. None saves its own output, so that an
in-place ReLU may follow; all refuse a second differentiation.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

_threshold_backward = torch.ops.aten.threshold_backward.grad_input


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a backward that autograd must not differentiate.

    torch's `once_differentiable` passes a constant where the incoming gradient needs no gradient, so that a gradient
    penalty behind a linear layer would silently lose the norm's terms; this raises under `create_graph=True`.
    """

    @wraps(backward)
    def guarded(ctx: Any, *gradients: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the gradient of this norm cannot be differentiated again: leave out create_graph=True"
            )
        return backward(ctx, *gradients)

    return guarded


class SetNorm(torch.autograd.Function):
    """Normalizes x (K, R, C) over R and over blocks of `block` channels.

    K is groups of samples, R the pixels of all samples in a group. weight, bias: (C,) or None. Returns y and, without
    gradients, mean and biased variance (K, C).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, block: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = _pool(x.mean(1, keepdim=True), block)
        y = x - mean
        variance = _pool((y * y).mean(1, keepdim=True), block)
        rstd = (variance + eps).rsqrt_()
        y.mul_(rstd if weight is None else rstd * weight)
        if bias is not None:
            y.add_(bias)
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.block = block
        mean, variance = mean.squeeze(1), variance.squeeze(1)
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        sum_dy = dy.sum(1, keepdim=True)
        dx = x - mean
        sum_dy_xhat = (dx * dy).sum(1, keepdim=True).mul_(rstd)
        dbias, dweight = sum_dy.sum((0, 1)), sum_dy_xhat.sum((0, 1))
        rows = x.shape[1]
        scale = rstd
        if weight is not None:
            scale, sum_dy, sum_dy_xhat = rstd * weight, sum_dy * weight, sum_dy_xhat * weight
        mean_dy, mean_dy_xhat = (
            _pool(sum_dy, ctx.block).div(rows),
            _pool(sum_dy_xhat, ctx.block).div(rows),
        )
        # dx = rstd * (w dy - mean(w dy) - xhat mean(w dy xhat))
        dx.mul_(mean_dy_xhat.mul_(rstd).mul_(rstd).neg_()).sub_(mean_dy.mul_(rstd)).addcmul_(
            dy, scale
        )
        return (
            dx,
            dweight if weight is not None else None,
            dbias if ctx.needs_input_grad[2] else None,
            None,
            None,
        )


def _pool(statistic: Tensor, block: int) -> Tensor:
    """(K, 1, C) averaged over blocks of channels, repeated within each."""
    if block == 1:
        return statistic
    blocks = statistic.unflatten(2, (-1, block))
    return blocks.mean(3, keepdim=True).expand_as(blocks).flatten(2)


class ChannelNorm(torch.autograd.Function):
    """Layer norm of contiguous maps x (N, C, P) over C, one statistic per pixel; weight and bias (C, 1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        mean = x.mean(1, keepdim=True)
        y = x - mean
        rstd = (y * y).mean(1, keepdim=True).add_(eps).rsqrt_()
        y.mul_(rstd).mul_(weight).add_(bias)
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        xhat = (x - mean).mul_(rstd)
        dy_xhat = dy * xhat
        dweight, dbias = dy_xhat.sum((0, 2)).unsqueeze(1), dy.sum((0, 2)).unsqueeze(1)
        dx = dy * weight
        xhat.mul_(dy_xhat.mul_(weight).mean(1, keepdim=True)).add_(dx.mean(1, keepdim=True))
        return dx.sub_(xhat).mul_(rstd), dweight, dbias, None


class RMSAffine(torch.autograd.Function):
    """x / sqrt(mean of x² along `dim` + eps) * weight + bias for x (N, C, P) or (N, P, C), one statistic per (n, c).

    `dim` is that of P; weight and bias, (C, 1) or (C,), do not vary along it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dim: int, eps: float) -> Tensor:
        y = x * x
        inverse = y.mean(dim, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        ctx.dim = dim
        return torch.mul(x, inverse * weight, out=y).add_(bias)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        dx = dy * x
        dy_xhat = dx.sum(ctx.dim, keepdim=True).mul_(inverse)
        mean = (dy_xhat * weight).div_(x.shape[ctx.dim])
        torch.mul(x, mean.mul_(inverse).mul_(inverse).neg_(), out=dx).addcmul_(dy, inverse * weight)
        dweight, dbias = dy_xhat.sum(0), dy.sum(ctx.dim, keepdim=True).sum(0)
        return dx, dweight.view(weight.shape), dbias.view(weight.shape), None, None


class Threshold(torch.autograd.Function):
    """max(x, tau) for tau (C, 1, 1), as torch.maximum, whose backward on the CPU takes 40 times a copy.

    Where both are equal the gradient goes to tau, as that of ReLU goes to its zero.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, tau: Tensor) -> Tensor:
        ctx.save_for_backward(x, tau)
        return torch.maximum(x, tau)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, tau = ctx.saved_tensors
        dx = x - tau
        _threshold_backward(dy, dx, 0, grad_input=dx)
        return dx, (dy.sum((0, 2, 3)) - dx.sum((0, 2, 3))).view(tau.shape)


class RMSScale(torch.autograd.Function):
    """x / sqrt(mean of x² along `dim` + eps), without parameters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, eps: float) -> Tensor:
        y = x * x
        inverse = y.mean(dim, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, inverse)
        ctx.dim = dim
        return torch.mul(x, inverse, out=y)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, inverse = ctx.saved_tensors
        dx = dy * x
        mean = (
            dx.mean(ctx.dim, keepdim=True).mul_(inverse).mul_(inverse)
        )  # of dy xhat, over the root mean square
        return torch.sub(dy, torch.mul(x, mean, out=dx), out=dx).mul_(inverse), None, None
