"""Norms with statistics over the batch, and with running statistics for evaluation."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError, choices
from normlab.norms.base import (
    Norm,
    as_maps,
    check_eps,
    from_maps,
    narrow,
    norm_kind,
    one_value,
    wide,
)
from normlab.norms.ghost import GroupStatistics, ghost_norm

STATISTICS = ("running", "batch", "instance")


class _BatchStatistics(Norm):
    """Running statistics and the rules for ghost batches, shared by both kinds."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        layout: str,
        eps: float,
        momentum: float | None,
        ghost_batch: int | None,
    ):
        super().__init__(num_features, layout)
        if ghost_batch is not None and ghost_batch < 1:
            raise NormLabError(
                f"ghost_batch must be at least 1 sample or null for the whole batch, not {ghost_batch}."
            )
        if momentum is not None and not 0 <= momentum <= 1:
            raise NormLabError(
                f"momentum must be between 0 and 1 or null for the cumulative average, not {momentum}."
            )
        self.eps = check_eps(eps)
        self.momentum = momentum
        self.ghost_batch = ghost_batch
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def group_size(self, maps: Tensor, wanted: int | None) -> int:
        """Samples that share statistics; raises NormLabError where a group has one value per channel."""
        n = max(len(maps), 1)
        size = n if wanted is None else min(wanted, n)
        smallest = n % size or size
        if smallest * maps.shape[2] * maps.shape[3] == 1:
            raise one_value(
                f"a batch norm over groups of {size} of {n} samples",
                "use more samples per group (and a batch that leaves no rest of one) or norm=layernorm",
            )
        return size

    def new_share(self) -> float:
        """Counts this batch and returns the weight that its statistics get in the running ones."""
        self.num_batches_tracked.add_(1)
        return 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum

    def update_running(self, statistics: GroupStatistics) -> None:
        mean, variance = statistics.average()
        share = self.new_share()
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


@norm_kind(
    "batchnorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    has_shift=True,
)
class BatchNorm(_BatchStatistics):
    """Batch normalization (Ioffe & Szegedy 2015) over N and all positions.

    ghost_batch: samples that share statistics in training (None = all); an uneven rest forms its own group. The
    running statistics get one update a step, with the average over groups of mean and unbiased variance, weighted by
    samples. Sequential ghost batches (Hoffer et al. 2017) update once per group instead, so that the last group
    counts most and `momentum` acts K times a step; DistributedDataParallel without SyncBN keeps the statistics of
    rank 0's group and drops the others. Outputs and gradients are the same in all three.
    momentum: weight of the new batch, None = cumulative average.
    statistics: what eval mode normalizes with: `running`, `batch` (as in training, in the same groups, without
    updating) or `instance` (each sample by itself).
    frozen: running statistics in training too, never updated, weight and bias as buffers, which no optimizer sees.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        ghost_batch: int | None = None,
        statistics: Literal["running", "batch", "instance"] = "running",
        frozen: bool = False,
    ):
        super().__init__(num_features, layout, eps, momentum, ghost_batch)
        if statistics not in STATISTICS:
            raise choices("statistics", statistics, STATISTICS)
        if statistics == "instance" and layout == "NC":
            raise NormLabError(
                "statistics=instance has one value per statistic on layout NC: use running or batch."
            )
        if frozen and statistics != "running":
            raise NormLabError(
                f"a frozen batchnorm uses its running statistics: leave out statistics={statistics}."
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
            y = F.batch_norm(
                maps,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                False,
                0.0,
                self.eps,
            )
        else:
            y = self._normalize(maps)
        return narrow(from_maps(y, self.layout), x)

    def _normalize(self, maps: Tensor) -> Tensor:
        instance = not self.training and self.statistics == "instance"
        size = self.group_size(maps, 1 if instance else self.ghost_batch)
        if size < len(maps):
            y, statistics = ghost_norm(maps, size, self.weight, self.bias, self.eps)
            if self.training:
                self.update_running(statistics)
            return y
        if not self.training:
            return F.batch_norm(maps, None, None, self.weight, self.bias, True, 0.0, self.eps)
        return F.batch_norm(
            maps,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            True,
            self.new_share(),
            self.eps,
        )

    def extra_repr(self) -> str:
        own = f"ghost_batch={self.ghost_batch}, statistics={self.statistics}, frozen={self.frozen}"
        return f"{super().extra_repr()}, {own}"


@norm_kind(
    "batchrenorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    has_shift=True,
)
class BatchRenorm(_BatchStatistics):
    """Batch renormalization (Ioffe 2017): corrects a batch's statistics towards the running ones.

    weight * (xhat * r + d) + bias with r = sigma_batch / sigma_running clipped to [1 / r_max, r_max] and
    d = (mean_batch - mean_running) / sigma_running clipped to [-d_max, d_max], neither with a gradient, both from the
    running statistics before their update. Over the first `warmup_steps` updates the limits rise linearly from
    r_max = 1 and d_max = 0, which is BatchNorm. ghost_batch, momentum and the running statistics (of the unbiased
    variance, where the paper averages the standard deviation) are as in BatchNorm.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        ghost_batch: int | None = None,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup_steps: int = 100,
    ):
        super().__init__(num_features, layout, eps, momentum, ghost_batch)
        if not r_max >= 1 or not d_max >= 0:
            raise NormLabError(
                f"batchrenorm needs r_max >= 1 and d_max >= 0, not {r_max} and {d_max}."
            )
        if warmup_steps < 0:
            raise NormLabError(f"warmup_steps must be at least 0, not {warmup_steps}.")
        self.r_max = r_max
        self.d_max = d_max
        self.warmup_steps = warmup_steps
        self.add_affine()

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        maps = as_maps(x, self.layout)
        if not self.training:
            y = F.batch_norm(
                maps,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                False,
                0.0,
                self.eps,
            )
            return narrow(from_maps(y, self.layout), x)
        size = self.group_size(maps, self.ghost_batch)
        xhat, statistics = ghost_norm(wide(maps), size, None, None, self.eps)
        r, d = self._corrections(statistics)
        self.update_running(statistics)
        scale, shift = r * self.weight, d * self.weight + self.bias  # (K, C)
        if len(scale) > 1:
            scale, shift = (t.repeat_interleave(size, 0)[: len(x)] for t in (scale, shift))
        y = xhat * scale[:, :, None, None] + shift[:, :, None, None]
        return narrow(from_maps(y, self.layout), x)

    def _corrections(self, batch: GroupStatistics) -> tuple[Tensor, Tensor]:
        """r and d, each (K, C)."""
        # A tensor, for reading the count would wait for the device; without a warm-up it is past the end at once.
        steps = self.num_batches_tracked.to(self.running_var.dtype) + (not self.warmup_steps)
        ramp = (steps / max(self.warmup_steps, 1)).clamp(max=1)
        r_max, d_max = 1 + (self.r_max - 1) * ramp, self.d_max * ramp
        inverse = (self.running_var + self.eps).rsqrt()
        r = (batch.variance + self.eps).sqrt() * inverse
        d = (batch.mean - self.running_mean) * inverse
        return r.clamp(1 / r_max, r_max), d.clamp(-d_max, d_max)
