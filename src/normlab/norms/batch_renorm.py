"""Batch renormalization."""

import torch
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.batch_statistics import BatchStatistics
from normlab.norms.ghost import GroupStatistics, ghost_norm
from normlab.norms.kernels.conditions import transformed
from normlab.norms.saved import saved
from normlab.norms.spec import LAYOUTS, norm_kind
from normlab.norms.tensors import as_maps, from_maps, narrow, wide


@norm_kind(
    "batchrenorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    has_shift=True,
    layouts=tuple(LAYOUTS),
)
class BatchRenorm(BatchStatistics):
    """Batch renormalization: a batch's statistics, corrected towards the running ones.

        y = weight * ((x - mean_batch) / sigma_batch * r + d) + bias
        r = sigma_batch / sigma_running           clipped to [1 / r_max, r_max]
        d = (mean_batch - mean_running) / sigma_running   clipped to [-d_max, d_max]

    with sigma = sqrt(variance + eps), in train mode; in eval mode this is BatchNorm. r and d come
    from the running statistics before their update, and have no gradient. Over the first
    `warmup_steps` updates their limits rise linearly from r_max = 1 and d_max = 0, which is
    BatchNorm. The running statistics are those of BatchNorm, of the unbiased variance, where the
    paper averages the standard deviation.

    Shape: as `layout` says, the same out as in.
    Parameters: weight (C,), ones; bias (C,), zeros.
    Buffers: running_mean, running_var and num_batches_tracked, as in BatchNorm.

    Source: Ioffe 2017, Batch Renormalization: Towards Reducing Minibatch Dependence in
    Batch-Normalized Models.

    Args:
        eps, momentum, ghost_batch, affine, bias: as in BatchNorm.
        r_max: limit of r, at least 1.
        d_max: limit of d, in standard deviations, at least 0.
        warmup_steps: updates over which the limits rise.

    Raises:
        NormLabError: a limit or number out of range, one value per statistic.
    """

    _has_kernels = True

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        ghost_batch: int | None = None,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup_steps: int = 100,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, layout, eps=eps, momentum=momentum, ghost_batch=ghost_batch)
        if not r_max >= 1 or not d_max >= 0:
            raise NormLabError(
                f"batchrenorm needs r_max >= 1 and d_max >= 0, not {r_max} and {d_max}."
            )
        if warmup_steps < 0:
            raise NormLabError(f"warmup_steps must be at least 0, not {warmup_steps}.")
        self.r_max = r_max
        self.d_max = d_max
        self.warmup_steps = warmup_steps
        # A batch's mean, r and d, for a forward that is run again in the backward.
        self._last: tuple[Tensor, Tensor, Tensor] | None = None
        self.add_affine(affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        maps = as_maps(x, self.layout)
        if self.training:
            y = self._by_corrected_statistics(maps)
        else:
            y = self.by_running_statistics(maps)
        return narrow(from_maps(y, self.layout, x), x)

    def _by_corrected_statistics(self, maps: Tensor) -> Tensor:
        size = self.samples_per_statistic(maps, self.ghost_batch)
        records = self.records(maps)
        xhat, statistics = ghost_norm(wide(maps), size, None, None, self.eps)
        if records:
            r, d = self._corrections(statistics)  # (K, C) each, for K ghost batches
            self.update_running(statistics)
        else:
            r, d = self._corrections_again(statistics)
        weight, bias = self.gain_and_shift(maps)
        scale = _for_each_sample(r * weight, size, maps)
        shift = _for_each_sample(d * weight + bias, size, maps)
        return xhat * scale + shift

    def _corrections(self, batch: GroupStatistics) -> tuple[Tensor, Tensor]:
        """r and d, (K, C) each."""
        r_max, d_max = self._limits()
        inverse = (self.running_var + self.eps).rsqrt()
        r = (batch.variance + self.eps).sqrt() * inverse
        d = (batch.mean - self.running_mean) * inverse
        # Detached here: where running statistics are updated in one graph with their use, a
        # compiler (torch 2.13's AOT autograd) forgets that what they were made of was detached.
        r = saved(r.clamp(1 / r_max, r_max).detach())
        d = saved(d.clamp(-d_max, d_max).detach())
        if type(r) is Tensor and not (torch.compiler.is_compiling() or transformed()):
            self._last = batch.mean, r, d
        return r, d

    def _corrections_again(self, batch: GroupStatistics) -> tuple[Tensor, Tensor]:
        """Those of the first pass, which has changed the running statistics since.

        Raises:
            NormLabError: the last first pass was that of another input.
        """
        if self._last is None or not torch.equal(self._last[0], batch.mean):
            raise NormLabError(
                "batchrenorm is run a second time in a backward, as activation checkpointing does, "
                "and has seen another batch since the first: checkpoint each call of this layer "
                "with a layer of its own, or leave it out of the checkpointed part."
            )
        return self._last[1:]

    def _limits(self) -> tuple[Tensor, Tensor]:
        """r_max and d_max after the updates so far, as tensors: a number would wait for the GPU."""
        updates = self.num_batches_tracked.to(self.running_var.dtype)
        # Without a warm-up the limits hold from the first update on.
        warmed_up = updates / self.warmup_steps if self.warmup_steps else updates + 1
        share = warmed_up.clamp(max=1)
        return 1 + (self.r_max - 1) * share, self.d_max * share


def _for_each_sample(factor: Tensor, size: int, maps: Tensor) -> Tensor:
    """A factor (K, C) per ghost batch of `size` samples, shaped to broadcast against `maps`.

    One ghost batch broadcasts as it is.
    """
    if factor.shape[0] > 1:
        factor = factor.repeat_interleave(size, 0)[: maps.shape[0]]
    return factor[:, :, None, None]
