"""Root mean square normalization along any dimension, without centring: see strided.py for why."""

from typing import Any

import torch
from torch import Tensor

from normlab.norms.first_order import Gradients, apply, first_order


def rms_affine(x: Tensor, weight: Tensor, bias: Tensor, *, dim: int, eps: float) -> Tensor:
    """x / sqrt(mean of x² along `dim` + eps) * weight + bias.

    Args:
        x: (N, C, P) or (N, P, C); one statistic for each n and c.
        weight, bias: (C, 1) or (C,), the same along `dim`.
        dim: that of P.
    """
    y: Tensor = apply(_RMSAffine, x, weight, bias, dim, eps)
    return y


def rms_scale(x: Tensor, *, dim: int, eps: float) -> Tensor:
    """x / sqrt(mean of x² along `dim` + eps), without parameters."""
    y: Tensor = apply(_RMSScale, x, dim, eps)
    return y


class _RMSAffine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dim: int, eps: float) -> Tensor:
        y = x * x
        inverse = y.mean(dim, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        ctx.dim = dim
        return torch.mul(x, inverse * weight, out=y).add_(bias)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, weight, inverse = ctx.saved_tensors
        dx = dy * x
        dy_xhat = dx.sum(ctx.dim, keepdim=True).mul_(inverse)
        mean = (dy_xhat * weight).div_(x.shape[ctx.dim])
        # dx = inverse * (w dy - xhat mean(w dy xhat))
        torch.mul(x, mean.mul_(inverse).mul_(inverse).neg_(), out=dx).addcmul_(dy, inverse * weight)
        dweight, dbias = dy_xhat.sum(0), dy.sum(ctx.dim, keepdim=True).sum(0)
        return dx, dweight.view(weight.shape), dbias.view(weight.shape), None, None


class _RMSScale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, eps: float) -> Tensor:
        y = x * x
        inverse = y.mean(dim, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, inverse)
        ctx.dim = dim
        return torch.mul(x, inverse, out=y)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, inverse = ctx.saved_tensors
        dx = dy * x
        # The mean of dy xhat, over the root mean square.
        mean = dx.mean(ctx.dim, keepdim=True).mul_(inverse).mul_(inverse)
        torch.mul(x, mean, out=dx)
        return torch.sub(dy, dx, out=dx).mul_(inverse), None, None
