"""Batch norm over ghost batches: consecutive samples that share statistics (Hoffer et al. 2017)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.norms.kernels.conditions import kernels_for, watched
from normlab.norms.kernels.sets import SetNorm, set_norm, set_operations
from normlab.norms.strided import strided_norm
from normlab.norms.tensors import (
    as_rows,
    for_kernel,
    from_rows,
    is_channels_last,
    is_dense,
    narrow,
    wide,
)


@dataclass(frozen=True)
class GroupStatistics:
    """The statistics of K ghost batches; they carry no gradient."""

    mean: Tensor  # (K, C)
    variance: Tensor  # (K, C), biased, as the output was normalized with
    samples: int  # in each ghost batch
    positions: int  # values that a sample has per channel
    rest: int = 0  # samples in the last ghost batch, where it has fewer

    def average(self) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance (C,), each averaged over ghost batches by their samples."""
        if not self.rest:
            values = self.samples * self.positions
            return self.mean.mean(0), self.variance.mean(0).mul_(values / (values - 1))
        samples = self.mean.new_full((self.mean.shape[0], 1), self.samples)
        samples[-1] = self.rest
        share, counts = samples / samples.sum(), samples * self.positions
        mean = (self.mean * share).sum(0)
        return mean, (self.variance * share * (counts / (counts - 1))).sum(0)


def ghost_norm(
    x: Tensor, size: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, GroupStatistics]:
    """Normalizes every `size` consecutive samples of maps by themselves, an uneven rest too.

    Args:
        x: maps (N, C, H, W).
        size: samples in a ghost batch.
        weight, bias: (C,), or None for 1 and 0.

    Returns:
        The maps, in their own memory format and dtype, and the statistics.
    """
    n = x.shape[0]
    rest = n % size
    positions = x.shape[2] * x.shape[3]
    if not rest:
        y, mean, variance = _even(x, size, weight, bias, eps)
        return y, GroupStatistics(mean, variance, size, positions)
    body, tail = torch.split(x, [n - rest, rest])
    y_body, mean_body, variance_body = _even(body, size, weight, bias, eps)
    y_tail, mean_tail, variance_tail = _even(tail, rest, weight, bias, eps)
    statistics = GroupStatistics(
        torch.cat([mean_body, mean_tail]),
        torch.cat([variance_body, variance_tail]),
        size,
        positions,
        rest,
    )
    return torch.cat([y_body, y_tail]), statistics


def _even(
    x: Tensor, size: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Output (N, C, H, W), means (K, C) and biased variances (K, C); `size` divides N."""
    norm = SetNorm(size, 1, eps)
    if is_dense(x) and (kernels := kernels_for(x, weight, bias)):
        y, statistics = set_norm(kernels, norm, x, weight, bias)
        mean, variance = statistics.float()
        return y, mean, variance
    if watched():
        y, mean, variance = set_operations(norm, x, weight, bias)
        return y, mean.detach(), variance.detach()
    h = wide(x) if weight is None else for_kernel(x, weight)
    if size == x.shape[0]:
        y, mean, variance = _whole(h, weight, bias, eps)
    elif is_channels_last(x):
        rows = as_rows(wide(h), size)
        y, mean, variance = strided_norm(rows, weight, bias, block=1, eps=eps)
        y = from_rows(y, x)
    else:
        y, mean, variance = _contiguous(h, size, weight, bias, eps)
    return narrow(y, x), mean, variance


def _whole(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One ghost batch, by torch's batch norm."""
    values = x.numel() // x.shape[1]
    dtype = x.dtype if weight is None else weight.dtype
    mean, variance = torch.zeros(2, 1, x.shape[1], dtype=dtype, device=x.device)
    # With momentum 1 the running statistics become those of this batch, the variance unbiased.
    y = F.batch_norm(x, mean[0], variance[0], weight, bias, training=True, momentum=1.0, eps=eps)
    return y, mean, variance * ((values - 1) / values)


def _contiguous(
    x: Tensor, size: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Group norm with one channel a group, the ghost batches being its samples.

    Its kernel is so much faster than batch norm's on contiguous maps that the two transpositions
    cost nothing, and at size 1 none is needed.
    """
    n, c, height, width = x.shape
    groups, values = n // size, size * height * width
    rows = x.contiguous().view(groups, size, c, height * width)
    if size > 1:
        rows = rows.transpose(1, 2).contiguous()  # (K, C, size, H W)
    y, mean, rstd = torch.native_group_norm(rows, weight, bias, groups, c, values, c, eps)
    if size > 1:
        y = y.view(groups, c, size, height * width).transpose(1, 2)
    variance = rstd.detach().pow(-2).sub_(eps).clamp_(min=0)
    return y.reshape(x.shape), mean.detach(), variance
