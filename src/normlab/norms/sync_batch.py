"""Batch norm whose statistics are those of all processes together: one message each way."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import for_kernel, is_channels_last, narrow, norm_kind, one_value
from normlab.norms.batch import BatchNorm
from normlab.norms.strided import first_order

_LONG_ROWS = (
    16  # values of a channel that lie side by side, from which their kernel is the faster one
)


@norm_kind(
    "syncbatchnorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    has_shift=True,
)
class SyncBatchNorm(BatchNorm):
    """Batch normalization (Ioffe & Szegedy 2015) over the samples of all processes of the default group.

    Forward, one message of each process's count, mean and sum of squares about the mean; backward, one of the two sums
    that the input's gradient needs. Processes may have unequal counts, none included. Outputs, input gradients and
    running statistics are those of BatchNorm on the joined batch; gradients of weight and bias are this process's
    share, to be summed over processes as DistributedDataParallel does with all others (it averages; so does the loss).

    fallback: be plain BatchNorm in training where there is no process group, which raises NormLabError otherwise.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        fallback: bool = False,
    ):
        super().__init__(num_features, layout, eps, momentum)
        self.fallback = fallback

    def _normalize(self, maps: Tensor) -> Tensor:
        grouped = dist.is_available() and dist.is_initialized()
        if not self.training or (self.fallback and not grouped):
            return super()._normalize(maps)
        if not grouped:
            raise NormLabError(
                "syncbatchnorm has no process group to train in: pass trainer.devices=2 or more, start train.py by "
                "torchrun, or pass norm.fallback=true for plain batchnorm in one process."
            )
        if maps.numel() == self.num_features and dist.get_world_size() == 1:
            raise one_value("a batch norm over 1 sample", "use more samples or norm=layernorm")
        y, mean, variance, count = _SyncNorm.apply(
            for_kernel(maps, self.weight), self.weight, self.bias, self.eps
        )
        share = self.new_share()
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / (count - 1)), share)
        return narrow(y, maps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, layout={self.layout}, fallback={self.fallback}"


class _SyncNorm(torch.autograd.Function):
    """Normalizes maps (N, C, H, W) by the mean and variance of all processes' maps.

    Returns y and, without gradients, mean and biased variance (C,) and the count (1,) of values of a channel in all.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = x.contiguous(
            memory_format=torch.channels_last if is_channels_last(x) else torch.contiguous_format
        )
        c = x.shape[1]
        message = weight.new_empty(2 * c + 1)
        message[2 * c] = x.numel() // c
        _moments(x, message[:c], message[c : 2 * c])
        received = weight.new_empty(dist.get_world_size(), 2 * c + 1)
        dist.all_gather(list(received), message)  # into the rows
        means, squares, counts = received.split([c, c, 1], dim=1)
        count = counts.sum(0)
        mean = (means * counts).sum(0).div_(count)
        # Chan et al. 1979: no difference of large numbers, as sums of squares about zero would give.
        variance = (means - mean).square_().mul_(counts).add_(squares).sum(0).div_(count)
        y = _affine(x, mean, variance, weight, bias, eps)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        dy = dy.contiguous(
            memory_format=torch.channels_last if is_channels_last(x) else torch.contiguous_format
        )
        if x.numel():
            # By the rule of evaluation mode, with the joint statistics: both sums of this process, centred.
            _, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
                dy, x, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
            )
        else:
            dweight, dbias = torch.zeros_like(weight), torch.zeros_like(weight)
        message = torch.stack([dweight, dbias])
        dist.all_reduce(message)
        if not ctx.needs_input_grad[0]:
            return None, dweight, dbias, None
        # dx = scale * (dy - mean(dy) - xhat * mean(dy xhat)), all but dy's term by the kernel of evaluation mode.
        scale = weight * (variance + ctx.eps).rsqrt_()
        factor, shift = message.mul_(scale).div_(count).neg_()
        dx = _affine(x, mean, variance, factor, shift, ctx.eps)
        return dx.addcmul_(dy, scale.to(dx.dtype)[:, None, None]), dweight, dbias, None


def _affine(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    return (
        F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)
        if x.numel()
        else torch.empty_like(x)
    )


def _moments(x: Tensor, mean: Tensor, squares: Tensor) -> None:
    """Writes the means (C,) of maps and the sums (C,) of squares about them; zeros where there is no value."""
    n, c, height, width = x.shape
    if not x.numel():
        mean.zero_()
        squares.zero_()
    elif x.is_cuda or height * width < _LONG_ROWS or is_channels_last(x):
        # Its running statistics are not asked for, but say in which dtype to compute.
        mean_, variance = torch.batch_norm_update_stats(
            x, torch.zeros_like(mean), torch.ones_like(mean), 0.0
        )
        mean.copy_(mean_)
        torch.mul(variance, x.numel() // c, out=squares)
    else:
        # On the CPU, group norm's kernel takes the moments of rows in a fifth of the time that batch norm's takes.
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
