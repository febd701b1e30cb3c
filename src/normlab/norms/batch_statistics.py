"""What norms over the batch share: running statistics for evaluation, and ghost batches."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError
from normlab.norms.base import Norm, check_eps, one_value
from normlab.norms.ghost import GroupStatistics
from normlab.norms.kernels.conditions import watched
from normlab.norms.recording import check_transforms, recomputed


class RunningStatistics(Norm):
    """Running statistics for evaluation.

    Buffers: running_mean (C,), zeros; running_var (C,), ones, of the unbiased variance;
    num_batches_tracked, one whole number. Their names are those of torch's batch norms.

    Args:
        eps: added to the variance.
        momentum: weight of the new batch in the running statistics; None: cumulative average.
        track_running_stats: False for no buffers: each is None, as in torch.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    _version = 2  # of the state, as in torch: the first had no num_batches_tracked

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        eps: float,
        momentum: float | None,
        track_running_stats: bool,
    ) -> None:
        super().__init__(num_features, layout)
        self.momentum = check_momentum(momentum)
        self.eps = check_eps(eps)
        self.track_running_stats = tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features) if tracked else None)
        self.register_buffer("running_var", torch.ones(num_features) if tracked else None)
        count = torch.tensor(0, dtype=torch.long) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    @property
    def updates(self) -> bool:
        """Whether a call updates the running statistics."""
        return self.training and self.track_running_stats

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], *rest: Any
    ) -> None:
        fill_in_count(self, state_dict, prefix, metadata)
        super()._load_from_state_dict(state_dict, prefix, metadata, *rest)

    def count_without_values(self, x: Tensor) -> None:
        """A batch without values counts, as in torch, and leaves the running statistics alone."""
        if self.updates and not recomputed():
            self.num_batches_tracked.add_(1)

    def records(self, maps: Tensor) -> bool:
        """Whether to update the running statistics with those of `maps`: in train mode, and not
        again where activation checkpointing computes a forward a second time.

        Raises:
            NormLabError: a transform of torch.func does not let it.
        """
        if not self.updates:
            return False
        check_transforms(type(self).__name__.lower(), maps, self.running_mean)
        return not recomputed()

    def by_running_statistics(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) normalized by the running statistics, with gain and shift."""
        return F.batch_norm(
            maps,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=False,
            momentum=0.0,
            eps=self.eps,
        )

    def count_batch(self) -> float:
        """Counts one more batch, and returns its weight in the running statistics."""
        self.num_batches_tracked.add_(1)
        return 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum

    @property
    def counts_as_tensor(self) -> bool:
        """Whether the weight of a batch in the running statistics cannot be read as a number."""
        return (
            self.momentum is None
            and self.updates
            and (watched() or self.num_batches_tracked.is_meta)
        )

    def update_running(self, statistics: GroupStatistics) -> None:
        """One update of the running statistics, with the average over ghost batches."""
        mean, variance = statistics.average()
        share: float | Tensor
        if self.counts_as_tensor:
            self.num_batches_tracked.add_(1)
            share = 1 / self.num_batches_tracked.to(self.running_mean.dtype)
        else:
            share = self.count_batch()
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class BatchStatistics(RunningStatistics):
    """Statistics over the batch, and the rules for ghost batches.

    Args:
        eps, momentum, track_running_stats: as in RunningStatistics.
        ghost_batch: samples that share statistics in training; None: all. An uneven rest forms a
            ghost batch of its own.
    """

    def __init__(
        self,
        num_features: int,
        layout: str,
        *,
        eps: float,
        momentum: float | None,
        ghost_batch: int | None,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(
            num_features,
            layout,
            eps=eps,
            momentum=momentum,
            track_running_stats=track_running_stats,
        )
        if ghost_batch is not None and ghost_batch < 1:
            raise NormLabError(
                "ghost_batch must be at least 1 sample or null for the whole batch, "
                f"not {ghost_batch}."
            )
        self.ghost_batch = ghost_batch

    def samples_per_statistic(self, maps: Tensor, wanted: int | None) -> int:
        """How many samples of `maps` share statistics: `wanted`, or all if it is None or too large.

        Raises:
            NormLabError: a ghost batch, or the rest, has one value per channel.
        """
        n = max(maps.shape[0], 1)
        size = n if wanted is None else min(wanted, n)
        smallest = n % size or size
        if smallest * maps.shape[2] * maps.shape[3] == 1:
            raise one_value(
                f"a batch norm over groups of {size} of {n} samples",
                "use more samples per group (and a batch that leaves no rest of one) "
                "or norm=layernorm",
            )
        return size


def fill_in_count(
    norm: Norm, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any]
) -> None:
    """Adds the norm's num_batches_tracked to an old state without one, as torch does."""
    key, count = f"{prefix}num_batches_tracked", norm._buffers["num_batches_tracked"]
    if count is not None and key not in state_dict and (metadata.get("version") or 1) < 2:
        state_dict[key] = torch.zeros_like(count, device="cpu") if count.is_meta else count


def check_momentum(momentum: float | None) -> float | None:
    """`momentum`; raises NormLabError unless it is None or between 0 and 1."""
    if momentum is not None and not 0 <= momentum <= 1:
        raise NormLabError(
            f"momentum must be between 0 and 1 or null for the cumulative average, not {momentum}."
        )
    return momentum
