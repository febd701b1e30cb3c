"""Batch norm whose statistics are those of all processes together: one message each way."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.distributed._functional_collectives import all_reduce

from normlab.errors import NormLabError
from normlab.norms.autograd_functions import Gradients, apply
from normlab.norms.base import one_value
from normlab.norms.batch import BatchNorm
from normlab.norms.kernels.conditions import by_operations, transformed, wants_operations, watched
from normlab.norms.spec import LAYOUTS, norm_kind
from normlab.norms.sync_moments import by_moments, contiguous_as, moments
from normlab.norms.tensors import as_maps, for_kernel, from_maps, narrow


@norm_kind(
    "syncbatchnorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    has_shift=True,
    layouts=tuple(LAYOUTS),
)
class SyncBatchNorm(BatchNorm):
    """Batch normalization over the samples of all processes of the default group.

        y = weight * (x - mean) / sqrt(variance + eps) + bias

    In train mode mean and biased variance are over all processes' samples. Forward, one message
    of each process's count, mean and sum of squares about the mean; backward, one of the two sums
    that the input's gradient needs. Processes may have unequal counts, none included. In eval
    mode this is BatchNorm.

    Outputs, input gradients and running statistics are those of BatchNorm on the joined batch.
    Gradients of weight and bias are this process's share, to be summed over processes as
    DistributedDataParallel does with all others (it averages; so does the loss).

    Warning: on the CPU without a process group `nn.SyncBatchNorm` silently is BatchNorm; this layer
    raises there, unless `fallback` is given.

    Shape: as `layout` says, the same out as in.
    Parameters and buffers: as in BatchNorm.

    Source: Ioffe & Szegedy 2015, Batch Normalization; the statistics of several processes are
    joined as in Chan, Golub & LeVeque 1979.

    Args:
        eps, momentum, affine, bias, track_running_stats: as in BatchNorm.
        fallback: be plain BatchNorm in train mode where there is no process group.

    Raises:
        NormLabError: in train mode, no process group; one value per statistic.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        fallback: bool = False,
        affine: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(
            num_features,
            layout,
            eps=eps,
            momentum=momentum,
            affine=affine,
            bias=bias,
            track_running_stats=track_running_stats,
        )
        self.fallback = fallback

    def aside(self, x: Tensor) -> Tensor:
        if x.numel() or not self.training or (self.fallback and not _grouped()):
            return super().aside(x)
        y = self.by_batch_statistics(as_maps(x, self.layout))  # the others may have samples
        return narrow(from_maps(y, self.layout, x), x)

    def by_batch_statistics(self, maps: Tensor) -> Tensor:
        if not self.training or (self.fallback and not _grouped()):
            return super().by_batch_statistics(maps)
        if not _grouped():
            raise NormLabError(
                "syncbatchnorm has no process group to train in: pass trainer.devices=2 or more, "
                "start train.py by torchrun, or pass norm.fallback=true for plain batchnorm in one "
                "process."
            )
        if torch._C._get_tracing_state() is not None:
            raise NormLabError(
                "torch.jit.trace cannot record the messages of syncbatchnorm in train mode: "
                "call eval() before, or use torch.export.export."
            )
        weight, bias = self.gain_and_shift(maps)
        h = for_kernel(maps, weight)
        y, mean, variance, count = _sync_norm(h, weight, bias, self.eps)
        if maps.numel() <= self.num_features and count == 1:  # the others can have none
            raise one_value("a batch norm over 1 sample", "use more samples or norm=layernorm")
        if self.records(maps):
            share = self.count_batch()
            variance = variance * (count / (count - 1))
            if not maps.numel():  # nor have the others any, perhaps
                mean = torch.where(count > 0, mean, self.running_mean)
                variance = torch.where(count > 0, variance, self.running_var)
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance, share)
        return narrow(y, maps)

    def extra_repr(self) -> str:
        left_out = f", {self._left_out}" if self._left_out else ""
        return f"{self.num_features}, layout={self.layout}{left_out}, fallback={self.fallback}"


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()


def _sync_norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Maps (N, C, H, W) normalized by the mean and variance of all processes' maps.

    Returns:
        y, and without gradients mean and biased variance (C,), and the count (1,) of values that a
        channel has in all processes.
    """
    if watched() or x.is_meta:
        count = _sum_of_all(weight.new_full((1,), x.numel() // x.shape[1]))
        normed, mean, variance = _sync_operations(x, weight, bias, count=count, eps=eps)
        return normed, mean.detach(), variance.detach(), count
    y: tuple[Tensor, Tensor, Tensor, Tensor] = apply(_SyncNorm, x, weight, bias, eps)
    return y


class _SyncNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = contiguous_as(x, x)
        c = x.shape[1]
        message = weight.new_empty(2 * c + 1)
        message[2 * c] = x.numel() // c
        moments(x, message[:c], message[c : 2 * c])
        received = weight.new_empty(dist.get_world_size(), 2 * c + 1)
        dist.all_gather(list(received), message)  # into the rows
        means, squares, counts = torch.split(received, [c, c, 1], dim=1)
        count = counts.sum(0)
        mean = (means * counts).sum(0).div_(count)
        # Chan et al. 1979: no difference of large numbers, as sums of squares about zero would
        # give.
        variance = (means - mean).square_().mul_(counts).add_(squares).sum(0).div_(count)
        y = by_moments(x, mean, variance, weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> Gradients:
        x, weight, bias, mean, variance, count = ctx.saved_tensors
        if wants_operations(dy):
            inputs, wanted = (x, weight, bias), ctx.needs_input_grad[:3]
            found = by_operations(
                lambda *inputs: _sync_operations(*inputs, count=count, eps=ctx.eps)[0],
                inputs,
                wanted,
                dy,
            )
            return *found, None
        dy = contiguous_as(dy, x)
        if x.numel():
            # By the rule of eval mode, with the joint statistics: both sums of this process,
            # centred.
            _, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
                dy, x, weight, mean, variance, None, None, False, ctx.eps, [False, True, True]
            )
        else:
            dweight, dbias = torch.zeros_like(weight), torch.zeros_like(weight)
        message = torch.stack([dweight, dbias])
        dist.all_reduce(message)
        if not ctx.needs_input_grad[0]:
            return None, dweight, dbias, None
        # dx = scale * (dy - mean(dy) - xhat * mean(dy xhat)), all but dy's term by the kernel of
        # eval mode.
        scale = weight * (variance + ctx.eps).rsqrt_()
        factor, shift = message.mul_(scale).div_(count).neg_()
        dx = by_moments(x, mean, variance, factor, shift, ctx.eps)
        return dx.addcmul_(dy, scale.to(dx.dtype)[:, None, None]), dweight, dbias, None


def _sync_operations(
    x: Tensor, weight: Tensor, bias: Tensor, *, count: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """y, mean and variance by operations, for transforms and where gradients are differentiated."""
    h = x.to(weight.dtype)
    mean = _sum_of_all(h.sum((0, 2, 3))) / count
    centred = h - mean[:, None, None]
    variance = _sum_of_all(centred.square().sum((0, 2, 3))) / count
    scale = weight * (variance + eps).rsqrt()
    y = centred * scale[:, None, None] + bias[:, None, None]
    return y.to(x.dtype), mean, variance


def _sum_of_all(x: Tensor) -> Tensor:
    """The sum over processes, differentiable: all of them must differentiate it alike."""
    if (watched() or x.is_meta) and not transformed():
        world = dist.group.WORLD
        assert world is not None  # or by_batch_statistics has raised
        in_a_graph: Tensor = all_reduce(x, "sum", world)
        return in_a_graph
    total: Tensor = apply(_SumOfAll, x)
    return total


class _SumOfAll(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        if is_legacy_batchedtensor(x):
            raise NormLabError(
                "syncbatchnorm sends messages, and no message takes gradients that autograd has "
                "batched: leave out is_grads_batched or vectorize, or use torch.func.jacrev."
            )
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        return _sum_of_all(dy)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return _sum_of_all(tangent)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: Tensor) -> tuple[Tensor, int | None]:
        return _sum_of_all(x), in_dims[0]
