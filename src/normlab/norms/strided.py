"""Normalization where torch has no fast kernel: not over the innermost dimension in memory.

On channels_last maps, torch's group norm on the CPU takes the variance as mean(x²) - mean(x)²,
which at a mean of 100 deviations is wrong in the second digit, and with few channels a group it
takes 4 to 14 times a batch norm. Layer norm over the channels of contiguous maps costs two
transpositions. The functions here reduce along the stride instead, centre before they square, and
work in place on what little they allocate. None saves its own output, so that an in-place ReLU
may follow; a backward that is itself differentiated is autograd's of the formula. Where there are
kernels in C, these do the norm over sets in its place.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.norms.autograd_functions import Gradients, apply
from normlab.norms.kernels.conditions import by_operations, wants_operations, watched
from normlab.norms.kernels.sets import SetNorm, set_operations


def strided_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, block: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """weight (x - mean) / sqrt(variance + eps) + bias, over R and over blocks of channels.

    Args:
        x: (K, R, C), K groups of samples with R pixels each.
        weight, bias: (C,), or None for 1 and 0.
        block: how many consecutive channels share a statistic.

    Returns:
        y (K, R, C), and without gradients mean and biased variance, (K, C) each.
    """
    y: tuple[Tensor, Tensor, Tensor] = apply(_SetNorm, x, weight, bias, block, eps)
    return y


def channel_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Layer norm of contiguous maps x (N, C, P) over C, one statistic per pixel.

    weight and bias are (C, 1).
    """
    if watched():
        return _over_channels(x, weight, bias, eps)
    y: Tensor = apply(_ChannelNorm, x, weight, bias, eps)
    return y


class _SetNorm(torch.autograd.Function):
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
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.block = block
        ctx.eps = eps
        mean, variance = mean.squeeze(1), variance.squeeze(1)
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> Gradients:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        if wants_operations(dy):
            norm, wanted = SetNorm(1, ctx.block, ctx.eps), ctx.needs_input_grad[:3]
            found = by_operations(partial(_as_maps, norm), (x, weight, bias), wanted, dy)
            return *found, None, None
        sum_dy = dy.sum(1, keepdim=True)
        dx = x - mean
        sum_dy_xhat = (dx * dy).sum(1, keepdim=True).mul_(rstd)
        dbias = sum_dy.sum((0, 1)) if ctx.needs_input_grad[2] else None
        dweight = None if weight is None else sum_dy_xhat.sum((0, 1))
        scale = rstd
        if weight is not None:
            scale, sum_dy, sum_dy_xhat = rstd * weight, sum_dy * weight, sum_dy_xhat * weight
        rows = x.shape[1]
        mean_dy = _pool(sum_dy, ctx.block).div(rows)
        mean_dy_xhat = _pool(sum_dy_xhat, ctx.block).div(rows)
        # dx = rstd * (w dy - mean(w dy) - xhat mean(w dy xhat))
        dx.mul_(mean_dy_xhat.mul_(rstd).mul_(rstd).neg_())
        dx.sub_(mean_dy.mul_(rstd)).addcmul_(dy, scale)
        return dx, dweight, dbias, None, None


def _as_maps(norm: SetNorm, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """The norm of x (K, R, C) by operations, as maps (K, C, R, 1)."""
    y = set_operations(norm, x.transpose(1, 2).unsqueeze(3), weight, bias)[0]
    return y.squeeze(3).transpose(1, 2)


def _pool(statistic: Tensor, block: int) -> Tensor:
    """(K, 1, C) averaged over blocks of channels, and repeated within each block."""
    if block == 1:
        return statistic
    blocks = torch.unflatten(statistic, 2, (-1, block))  # (K, 1, C / block, block)
    return blocks.mean(3, keepdim=True).expand_as(blocks).flatten(2)


def _over_channels(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """What `channel_norm` does, by torch's layer norm."""
    last = x.transpose(1, 2)
    y = F.layer_norm(last, weight.shape[:1], weight.squeeze(1), bias.squeeze(1), eps)
    return y.transpose(1, 2)


class _ChannelNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        mean = x.mean(1, keepdim=True)
        y = x - mean
        rstd = (y * y).mean(1, keepdim=True).add_(eps).rsqrt_()
        y.mul_(rstd).mul_(weight).add_(bias)
        ctx.save_for_backward(x, weight, bias, mean, rstd)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        if wants_operations(dy):
            wanted = ctx.needs_input_grad[:3]
            formula = partial(_over_channels, eps=ctx.eps)
            return *by_operations(formula, (x, weight, bias), wanted, dy), None
        xhat = (x - mean).mul_(rstd)
        dy_xhat = dy * xhat
        dweight = dy_xhat.sum((0, 2)).unsqueeze(1)
        dbias = dy.sum((0, 2)).unsqueeze(1)
        dx = dy * weight
        # dx = rstd * (w dy - mean(w dy) - xhat mean(w dy xhat)), in the memory of xhat
        xhat.mul_(dy_xhat.mul_(weight).mean(1, keepdim=True)).add_(dx.mean(1, keepdim=True))
        return dx.sub_(xhat).mul_(rstd), dweight, dbias, None
