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
from normlab.norms.spec import norm_kind
from normlab.norms.tensors import as_maps, from_maps, is_dense, narrow

STATISTICS = ("running", "batch", "instance")


@norm_kind(
    "batchnorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    has_shift=True,
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

    Shape: (N, C), (N, C, H, W) or (N, T, C) as `layout` says, the same out as in.
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
    ) -> None:
        super().__init__(num_features, layout, eps=eps, momentum=momentum, ghost_batch=ghost_batch)
        if statistics not in STATISTICS:
            raise choices("statistics", statistics, STATISTICS)
        if statistics == "instance" and layout == "NC":
            raise NormLabError(
                "statistics=instance has one value per statistic on layout NC: "
                "use running or batch."
            )
        if frozen and statistics != "running":
            raise NormLabError(
                "a frozen batchnorm uses its running statistics: "
                f"leave out statistics={statistics}."
            )
        self.statistics = statistics
        self.frozen = frozen
        if frozen:
            self.register_buffer("weight", torch.ones(num_features))
            self.register_buffer("bias", torch.zeros(num_features))
        else:
            self.add_affine()

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        maps = as_maps(x, self.layout)
        if self.frozen or (not self.training and self.statistics == "running"):
            y = self.by_running_statistics(maps)
        else:
            y = self.by_batch_statistics(maps)
        return narrow(from_maps(y, self.layout), x)

    def by_batch_statistics(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) normalized by their own statistics, which train mode also records."""
        each_sample = not self.training and self.statistics == "instance"
        size = self.samples_per_statistic(maps, 1 if each_sample else self.ghost_batch)
        kernels = None if maps.shape[0] % size else self._kernels(maps)
        if kernels:
            norm = SetNorm(size, 1, self.eps)
            y, measured = set_norm(kernels, norm, maps, self.weight, self.bias)
            if self.training:
                values = size * maps.shape[2] * maps.shape[3]
                buffers = self.running_mean, self.running_var
                update_running(kernels, measured, values, *buffers, self.count_batch())
            return y
        if size < maps.shape[0]:
            y, statistics = ghost_norm(maps, size, self.weight, self.bias, self.eps)
            if self.training:
                self.update_running(statistics)
            return y
        if not self.training:
            return F.batch_norm(
                maps, None, None, self.weight, self.bias, training=True, momentum=0.0, eps=self.eps
            )
        # The kernel updates the running statistics, which it is given for nothing else.
        return F.batch_norm(
            maps,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=True,
            momentum=self.count_batch(),
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
