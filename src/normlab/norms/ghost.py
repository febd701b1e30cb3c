"""Batch norm over ghost batches: consecutive samples that share statistics (Hoffer et al. 2017)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.norms.base import for_kernel, is_channels_last, narrow, wide
from normlab.norms.strided import SetNorm


@dataclass(frozen=True)
class GroupStatistics:
    mean: Tensor  # (K, C)
    variance: Tensor  # (K, C), biased, as the output was normalized with
    samples: list[int]  # (K,) samples in each group
    positions: int  # values that a sample has per channel

    def average(self) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance (C,), each the average over groups weighted by their samples."""
        if len(set(self.samples)) == 1:
            values = self.samples[0] * self.positions
            return self.mean.mean(0), self.variance.mean(0).mul_(values / (values - 1))
        samples = self.mean.new_tensor(self.samples).unsqueeze(1)
        share, counts = samples / samples.sum(), samples * self.positions
        return (self.mean * share).sum(0), (self.variance * share * (counts / (counts - 1))).sum(0)


def ghost_norm(
    x: Tensor, size: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, GroupStatistics]:
    """Normalizes every `size` consecutive samples of maps (N, C, H, W) by themselves, an uneven rest too.

    Returns the maps in their own memory format and dtype, and the statistics, which carry no gradient.
    """
    n = len(x)
    rest = n % size
    positions = x.shape[2] * x.shape[3]
    if not rest:
        y, mean, variance = _even(x, size, weight, bias, eps)
        return y, GroupStatistics(mean, variance, [size] * (n // size), positions)
    body, tail = x.split([n - rest, rest])
    y_body, mean_body, variance_body = _even(body, size, weight, bias, eps)
    y_tail, mean_tail, variance_tail = _even(tail, rest, weight, bias, eps)
    statistics = GroupStatistics(
        torch.cat([mean_body, mean_tail]),
        torch.cat([variance_body, variance_tail]),
        [size] * (n // size) + [rest],
        positions,
    )
    return torch.cat([y_body, y_tail]), statistics


def _even(
    x: Tensor, size: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, means (K, C) and biased variances (K, C); `size` divides N."""
    n, c, height, width = x.shape
    groups, values = n // size, size * height * width
    h = wide(x) if weight is None else for_kernel(x, weight)
    if groups == 1:
        # With momentum 1 the running statistics become those of this batch, the variance unbiased.
        mean, variance = torch.zeros(
            2, 1, c, dtype=h.dtype if weight is None else weight.dtype, device=x.device
        )
        y = F.batch_norm(h, mean[0], variance[0], weight, bias, True, 1.0, eps)
        return narrow(y, x), mean, variance * ((values - 1) / values)
    if is_channels_last(x):
        rows = wide(h).permute(0, 2, 3, 1).reshape(groups, values, c)
        y, mean, variance = SetNorm.apply(rows, weight, bias, 1, eps)
        y = y.view(n, height, width, c).permute(0, 3, 1, 2)
    else:
        # Group norm with one channel a group, its samples being the ghost batches: its kernel is so much faster than
        # batch norm's on contiguous maps that the two transpositions cost nothing (and none is needed at size 1).
        rows = h.contiguous().view(groups, size, c, height * width)
        if size > 1:
            rows = rows.transpose(1, 2).contiguous()
        y, mean, rstd = torch.native_group_norm(rows, weight, bias, groups, c, values, c, eps)
        if size > 1:
            y = y.view(groups, c, size, height * width).transpose(1, 2)
        y = y.reshape(x.shape)
        mean = mean.detach()
        variance = rstd.detach().pow(-2).sub_(eps).clamp_(min=0)
    return narrow(y, x), mean, variance
