"""Root mean square normalization along any dimension, without centring: see strided.py for why."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from normlab.norms.autograd_functions import Gradients, apply
from normlab.norms.kernels.conditions import by_operations, wants_operations, watched


def rms_affine(x: Tensor, weight: Tensor, bias: Tensor, *, dim: int, eps: float) -> Tensor:
    """x / sqrt(mean of x² along `dim` + eps) * weight + bias.

    Args:
        x: (N, C, P) or (N, P, C); one statistic for each n and c.
        weight, bias: (C, 1) or (C,), the same along `dim`.
        dim: that of P.
    """
    if watched():
        return _affine_operations(x, weight, bias, dim=dim, eps=eps)
    y: Tensor = apply(_RMSAffine, x, weight, bias, dim, eps)
    return y


def rms_scale(x: Tensor, *, dim: int, eps: float) -> Tensor:
    """x / sqrt(mean of x² along `dim` + eps), without parameters."""
    if watched():
        return _scale_operations(x, dim=dim, eps=eps)
    y: Tensor = apply(_RMSScale, x, dim, eps)
    return y


def _affine_operations(x: Tensor, weight: Tensor, bias: Tensor, *, dim: int, eps: float) -> Tensor:
    inverse = (x * x).mean(dim, keepdim=True).add(eps).rsqrt()
    return x * (inverse * weight) + bias


def _scale_operations(x: Tensor, *, dim: int, eps: float) -> Tensor:
    return x * (x * x).mean(dim, keepdim=True).add(eps).rsqrt()


class _RMSAffine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dim: int, eps: float) -> Tensor:
        y = x * x
        inverse = y.mean(dim, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, bias, inverse)
        ctx.dim = dim
        ctx.eps = eps
        return torch.mul(x, inverse * weight, out=y).add_(bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, weight, bias, inverse = ctx.saved_tensors
        if wants_operations(dy):
            formula = partial(_affine_operations, dim=ctx.dim, eps=ctx.eps)
            wanted = ctx.needs_input_grad[:3]
            return *by_operations(formula, (x, weight, bias), wanted, dy), None, None
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
        ctx.eps = eps
        return torch.mul(x, inverse, out=y)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, inverse = ctx.saved_tensors
        if wants_operations(dy):
            formula = partial(_scale_operations, dim=ctx.dim, eps=ctx.eps)
            return *by_operations(formula, (x,), (True,), dy), None, None
        dx = dy * x
        # The mean of dy xhat, over the root mean square.
        mean = dx.mean(ctx.dim, keepdim=True).mul_(inverse).mul_(inverse)
        torch.mul(x, mean, out=dx)
        return torch.sub(dy, dx, out=dx).mul_(inverse), None, None
