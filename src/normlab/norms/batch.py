"""Batch norm, with running statistics or others for evaluation, over ghost batches, or frozen."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError, choices
from normlab.norms.batch_statistics import BatchStatistics
from normlab.norms.ghost import ghost_norm
from normlab.norms.kernels.conditions import kernels_for
from normlab.norms.kernels.library import Functions
from normlab.norms.kernels.sets import SetNorm, set_norm, update_running
from normlab.norms.spec import LAYOUTS, norm_kind
from normlab.norms.tensors import as_maps, from_maps, is_dense, narrow

STATISTICS = ("running", "batch", "instance")


@norm_kind(
    "batchnorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    has_shift=True,
    layouts=tuple(LAYOUTS),
)
class BatchNorm(BatchStatistics):
    """Batch normalization: statistics over the samples of a batch and all positions.

        y = weight * (x - mean) / sqrt(variance + eps) + bias

    In train mode mean and biased variance are the batch's, over N and H, W or T, and the running
    statistics are updated: running += momentum * (batch - running), with the unbiased variance.
    In eval mode they are the running ones.

    With `ghost_batch` the running statistics get one update a step, with the average over ghost
    batches weighted by their samples. Hoffer et al. update once per ghost batch instead, so that
    the last one counts most and `momentum` acts K times a step; DistributedDataParallel without
    SyncBatchNorm keeps the statistics of rank 0's samples and drops the others. Outputs and
    gradients are the same in all three.

    Warning: in train mode a sample's output depends on the others of its batch, and on (N, T, C) a
    position's on later ones. On one sample this is InstanceNorm, and differs from eval mode most.

    Shape: as `layout` says, the same out as in.
    Parameters: weight (C,), ones; bias (C,), zeros; both are buffers where `frozen`.
    Buffers: running_mean, running_var and num_batches_tracked, as in torch.

    Source: Ioffe & Szegedy 2015, Batch Normalization: Accelerating Deep Network Training by
    Reducing Internal Covariate Shift; ghost batches: Hoffer, Hubara & Soudry 2017, Train longer,
    generalize better.

    Args:
        eps: added to the variance.
        momentum: weight of the new batch in the running statistics; None: cumulative average.
        ghost_batch: samples that share statistics in training; None: all. An uneven rest forms a
            ghost batch of its own.
        statistics: what eval mode normalizes with: `running`; `batch`, as in training, in the same
            ghost batches, without an update; or `instance`, each sample by itself.
        frozen: running statistics in train mode too, never updated; weight and bias are buffers,
            which no optimizer sees.
        affine: False for no gain and no shift.
        bias: False for a gain without a shift.
        track_running_stats: False for no buffers, and `statistics` of the batch in eval mode.

    Raises:
        NormLabError: an option that is no choice, one value per statistic.
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
        statistics: Literal["running", "batch", "instance"] = "running",
        frozen: bool = False,
        affine: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(
            num_features,
            layout,
            eps=eps,
            momentum=momentum,
            ghost_batch=ghost_batch,
            track_running_stats=track_running_stats,
        )
        _check_statistics(statistics, layout, frozen=frozen, tracked=track_running_stats)
        without = statistics == "running" and not track_running_stats
        self.statistics = "batch" if without else statistics
        self.frozen = frozen
        if frozen:
            self.register_buffer("weight", torch.ones(num_features) if affine else None)
            self.register_buffer("bias", torch.zeros(num_features) if affine and bias else None)
        else:
            self.add_affine(affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.check(x):
            return self.aside(x)
        maps = as_maps(x, self.layout)
        if self.frozen or (not self.training and self.statistics == "running"):
            y = self.by_running_statistics(maps)
        else:
            y = self.by_batch_statistics(maps)
        return narrow(from_maps(y, self.layout, x), x)

    def count_without_values(self, x: Tensor) -> None:
        if not self.frozen:
            super().count_without_values(x)

    def by_batch_statistics(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) normalized by their own statistics, which train mode also records."""
        each_sample = not self.training and self.statistics == "instance"
        size = self.samples_per_statistic(maps, 1 if each_sample else self.ghost_batch)
        records = self.records(maps)
        kernels = None if maps.shape[0] % size else self._kernels(maps)
        if kernels:
            norm = SetNorm(size, 1, self.eps)
            y, measured = set_norm(kernels, norm, maps, self.weight, self.bias)
            if records:
                values = size * maps.shape[2] * maps.shape[3]
                buffers = self.running_mean, self.running_var
                update_running(kernels, measured, values, *buffers, self.count_batch())
            return y
        if size < maps.shape[0] or self.counts_as_tensor:
            y, statistics = ghost_norm(maps, size, self.weight, self.bias, self.eps)
            if records:
                self.update_running(statistics)
            return y
        if not self.updates:
            return F.batch_norm(
                maps, None, None, self.weight, self.bias, training=True, momentum=0.0, eps=self.eps
            )
        # The kernel updates the running statistics, which it is given for nothing else.
        mean, variance, share = self.running_mean, self.running_var, 0.0
        if records:
            share = self.count_batch()
        else:  # checkpointing wants as many tensors saved as in the first pass
            mean, variance = mean.clone(), variance.clone()
        return F.batch_norm(
            maps,
            mean,
            variance,
            self.weight,
            self.bias,
            training=True,
            momentum=share,
            eps=self.eps,
        )

    def _kernels(self, maps: Tensor) -> Functions | None:
        if not is_dense(maps):
            return None
        return kernels_for(maps, self.weight, self.bias, self.running_mean, self.running_var)

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, ghost_batch={self.ghost_batch}, "
            f"statistics={self.statistics}, frozen={self.frozen}"
        )


def _check_statistics(statistics: str, layout: str, *, frozen: bool, tracked: bool) -> None:
    """Raises NormLabError for what eval mode cannot normalize with."""
    if statistics not in STATISTICS:
        raise choices("statistics", statistics, STATISTICS)
    if statistics == "instance" and layout == "NC":
        raise NormLabError(
            "statistics=instance has one value per statistic on layout NC: use running or batch."
        )
    if frozen and (statistics != "running" or not tracked):
        other = "track_running_stats=False" if not tracked else f"statistics={statistics}"
        raise NormLabError(f"a frozen batchnorm uses its running statistics: leave out {other}.")
