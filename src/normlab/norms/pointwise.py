"""Layers without statistics: none, and the bounded functions that were proposed in place of normalization."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from normlab.norms.base import Norm, narrow, norm_kind, wide
from normlab.norms.strided import first_order

_tanh_backward = torch.ops.aten.tanh_backward.grad_input


@norm_kind("none", causal_safe=True)
class NoNorm(Norm):
    """The identity, with the same check of the layout."""

    def __init__(self, num_features: int, layout: str):
        super().__init__(num_features, layout)

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return x


class ScaledTanh(torch.autograd.Function):
    """weight * tanh(alpha x) + bias; weight and bias broadcast against x, and vary along its dimension `channel`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, alpha: Tensor, weight: Tensor, bias: Tensor, channel: int
    ) -> Tensor:
        squashed = torch.mul(x, alpha).tanh_()
        ctx.save_for_backward(x, alpha, weight, squashed)
        ctx.channel = channel
        return torch.mul(squashed, weight).add_(bias)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, alpha, weight, squashed = ctx.saved_tensors
        others = [dim for dim in range(x.ndim) if dim != ctx.channel]
        product = dy * squashed
        dweight = product.sum(others).view(weight.shape)
        dbias = dy.sum(others).view(weight.shape)
        dx = dy * weight
        _tanh_backward(dx, squashed, grad_input=dx)
        dalpha = torch.mul(dx, x, out=product).sum()
        return dx.mul_(alpha), dalpha, dweight, dbias, None


class ScaledErf(torch.autograd.Function):
    """weight * erf(alpha x + shift) + bias; weight and bias as in ScaledTanh."""

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
        ctx.save_for_backward(x, alpha, weight, inner)
        ctx.channel = channel
        return y.mul_(weight).add_(bias)

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, alpha, weight, inner = ctx.saved_tensors
        others = [dim for dim in range(x.ndim) if dim != ctx.channel]
        buffer = torch.erf(inner).mul_(dy)
        dweight = buffer.sum(others).view(weight.shape)
        dbias = dy.sum(others).view(weight.shape)
        dx = (
            torch.mul(inner, inner, out=buffer)
            .neg_()
            .exp_()
            .mul_(2 / math.sqrt(math.pi))
            .mul_(dy)
            .mul_(weight)
        )
        dshift, dalpha = dx.sum(), (dx * x).sum()
        return dx.mul_(alpha), dalpha, dshift, dweight, dbias, None


@norm_kind("dyt", causal_safe=True, has_shift=True)
class DyT(Norm):
    """Dynamic Tanh (Zhu et al. 2025): weight * tanh(alpha x) + bias, alpha one learned number."""

    def __init__(self, num_features: int, layout: str, alpha: float = 0.5):
        super().__init__(num_features, layout)
        self.add_affine()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        weight, bias = self.per_channel(self.weight), self.per_channel(self.bias)
        return narrow(ScaledTanh.apply(wide(x), self.alpha, weight, bias, self._channel_dim), x)


@norm_kind("derf", causal_safe=True, has_shift=True)
class Derf(Norm):
    """Dynamic erf (Chen et al. 2025): weight * erf(alpha x + shift) + bias, alpha and shift one learned number each."""

    def __init__(self, num_features: int, layout: str, alpha: float = 0.5):
        super().__init__(num_features, layout)
        self.add_affine()
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        weight, bias = self.per_channel(self.weight), self.per_channel(self.bias)
        return narrow(
            ScaledErf.apply(wide(x), self.alpha, self.shift, weight, bias, self._channel_dim), x
        )
