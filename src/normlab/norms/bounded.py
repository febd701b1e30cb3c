"""tanh and erf with a gain and a shift per channel, their backward in place."""

import math
from typing import Any

import torch
from torch import Tensor

from normlab.norms.autograd_functions import Gradients, apply
from normlab.norms.kernels.conditions import by_operations, wants_operations, watched

_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def scaled_tanh(x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor, *, channel: int) -> Tensor:
    """weight * tanh(alpha x) + bias.

    Args:
        alpha: one number.
        weight, bias: broadcast against x, and vary along its dimension `channel` alone.
    """
    if watched():
        return _tanh_operations(x, alpha, weight, bias)
    y: Tensor = apply(_ScaledTanh, x, alpha, weight, bias, channel)
    return y


def scaled_erf(
    x: Tensor, alpha: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, *, channel: int
) -> Tensor:
    """weight * erf(alpha x + shift) + bias; shift is one number, all else as in scaled_tanh."""
    if watched():
        return _erf_operations(x, alpha, shift, weight, bias)
    y: Tensor = apply(_ScaledErf, x, alpha, shift, weight, bias, channel)
    return y


def _tanh_operations(x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.tanh(x * alpha) * weight + bias


def _erf_operations(
    x: Tensor, alpha: Tensor, shift: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    return torch.erf(x * alpha + shift) * weight + bias


class _ScaledTanh(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor, channel: int
    ) -> Tensor:
        squashed = torch.mul(x, alpha).tanh_()
        ctx.save_for_backward(x, alpha, weight, bias, squashed)
        ctx.channel = channel
        return torch.mul(squashed, weight).add_(bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, alpha, weight, bias, squashed = ctx.saved_tensors
        if wants_operations(dy):
            inputs, wanted = (x, alpha, weight, bias), ctx.needs_input_grad[:4]
            return *by_operations(_tanh_operations, inputs, wanted, dy), None
        others = _other_dimensions(x, ctx.channel)
        product = dy * squashed
        dweight = product.sum(others).view(weight.shape)
        dbias = dy.sum(others).view(weight.shape)
        dx = dy * weight
        _tanh_backward(dx, squashed, grad_input=dx)
        dalpha = torch.mul(dx, x, out=product).sum()
        return dx.mul_(alpha), dalpha, dweight, dbias, None


class _ScaledErf(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        alpha: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        channel: int,
    ) -> Tensor:
        inner = torch.mul(x, alpha).add_(shift)
        y = torch.erf(inner)
        ctx.save_for_backward(x, alpha, shift, weight, bias, inner)
        ctx.channel = channel
        return y.mul_(weight).add_(bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, alpha, shift, weight, bias, inner = ctx.saved_tensors
        if wants_operations(dy):
            inputs, wanted = (x, alpha, shift, weight, bias), ctx.needs_input_grad[:5]
            return *by_operations(_erf_operations, inputs, wanted, dy), None
        others = _other_dimensions(x, ctx.channel)
        buffer = torch.erf(inner).mul_(dy)
        dweight = buffer.sum(others).view(weight.shape)
        dbias = dy.sum(others).view(weight.shape)
        # The derivative of erf(z) is 2 / sqrt(pi) * exp(-z²).
        dx = torch.mul(inner, inner, out=buffer).neg_().exp_().mul_(2 / math.sqrt(math.pi))
        dx.mul_(dy).mul_(weight)
        dshift, dalpha = dx.sum(), (dx * x).sum()
        return dx.mul_(alpha), dalpha, dshift, dweight, dbias, None


def _other_dimensions(x: Tensor, channel: int) -> list[int]:
    return [dim for dim in range(x.ndim) if dim != channel]
