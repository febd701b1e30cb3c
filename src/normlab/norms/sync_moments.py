"""Moments of one process's maps, and maps by given moments: what the processes of syncbatchnorm do
by themselves."""

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.norms.tensors import MAPS, is_channels_last

# Values of a channel that lie side by side, from which on the kernel for rows is the faster one.
_LONG_ROWS = 16


def contiguous_as(x: Tensor, like: Tensor) -> Tensor:
    """Maps, contiguous in the memory format of `like`."""
    return x.contiguous(memory_format=MAPS if is_channels_last(like) else torch.contiguous_format)


def by_moments(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    """weight * (x - mean) / sqrt(variance + eps) + bias of maps, of none too."""
    if not x.numel():
        return torch.empty_like(x)
    return F.batch_norm(x, mean, variance, weight, bias, training=False, momentum=0.0, eps=eps)


def moments(x: Tensor, mean: Tensor, squares: Tensor) -> None:
    """Writes the means (C,) of maps and the sums (C,) of squares about them; zeros for no maps."""
    n, c, height, width = x.shape
    if not x.numel():
        mean.zero_()
        squares.zero_()
    elif x.is_cuda or height * width < _LONG_ROWS or is_channels_last(x):
        # Its running statistics are not asked for, but say in which dtype to compute.
        own_mean, variance = torch.batch_norm_update_stats(
            x, torch.zeros_like(mean), torch.ones_like(mean), 0.0
        )
        mean.copy_(own_mean)
        torch.mul(variance, x.numel() // c, out=squares)
    else:
        # On the CPU, group norm's kernel takes the moments of rows in a fifth of batch norm's time.
        means, variances = _row_moments(x.view(n * c, height * width), mean)
        torch.mean(means, 0, out=mean)
        torch.sum((means - mean).square_().add_(variances), 0, out=squares).mul_(height * width)


def _row_moments(rows: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each row, shaped (N, C) by `like` (C,)."""
    count, length = rows.shape
    weight = None if rows.dtype == like.dtype else like.new_ones(count)
    _, mean, rstd = torch.native_group_norm(
        rows[None, :, :], weight, weight, 1, count, length, count, torch.finfo(like.dtype).tiny
    )
    return mean.view(-1, len(like)), rstd.view(-1, len(like)).pow(-2)
