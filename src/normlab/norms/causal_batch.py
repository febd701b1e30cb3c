"""Batch norm for causal models: no statistic takes in a later position."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError, choices
from normlab.norms.base import Norm, check_eps, one_value
from normlab.norms.batch_statistics import check_momentum, fill_in_count
from normlab.norms.kernels.conditions import watched
from normlab.norms.recording import check_transforms, recomputed
from normlab.norms.spec import norm_kind
from normlab.norms.tensors import narrow, wide

STATISTICS = ("position", "prefix")


@norm_kind(
    "causal_batchnorm",
    centred=True,
    scaled=True,
    batch_dependent=True,
    train_eval_differ=True,
    causal_safe=True,
    has_shift=True,
    layouts=("NTC",),
)
class CausalBatchNorm(Norm):
    """Batch norm of sequences with statistics for each position; gain and shift are shared by all.

        y_t = weight * (x_t - mean_t) / sqrt(variance_t + eps) + bias

    In train mode mean_t and the biased variance_t are over the samples at position t
    (`position`), or over the samples at position t and all before it (`prefix`). In eval mode
    they are the running statistics of position t, those of a new layer being 0 and 1.

    Shape: sequences (N, T, C), in and out, T at most max_positions.
    Parameters: weight (C,), ones; bias (C,), zeros.
    Buffers: running_mean and running_var (max_positions, C); num_batches_tracked (max_positions,).

    In a compiled, traced or exported model, which cannot read its counts, the output at a position
    that was not trained on is NaN.

    Source: per position, Cooijmans et al. 2016, Recurrent Batch Normalization, for its time
    steps; over the prefix, this project.

    Args:
        eps: added to the variance.
        momentum: weight of the new batch in the running statistics of each position; None:
            cumulative average over the batches that reached it.
        statistics: `position` or `prefix`.
        max_positions: the longest sequence.
        affine, bias: as in BatchNorm.

    Raises:
        NormLabError: an option that is no choice; a sequence longer than max_positions or, in
            eval mode, than any that it was trained on; in train mode one sample, the first
            position of which is one value.
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
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        statistics: Literal["position", "prefix"] = "position",
        max_positions: int = 1024,
        affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, layout)
        self.momentum = check_momentum(momentum)
        if statistics not in STATISTICS:
            raise choices("statistics", statistics, STATISTICS)
        if max_positions < 1:
            raise NormLabError(f"max_positions must be at least 1, not {max_positions}.")
        self.eps = check_eps(eps)
        self.statistics = statistics
        self.max_positions = max_positions
        self.register_buffer("running_mean", torch.zeros(max_positions, num_features))
        self.register_buffer("running_var", torch.ones(max_positions, num_features))
        self.register_buffer("num_batches_tracked", torch.zeros(max_positions, dtype=torch.long))
        self.add_affine(affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        unusual = self.check(x)
        positions = x.shape[1]
        if positions > self.max_positions:
            raise NormLabError(
                f"{positions} positions are more than norm.max_positions={self.max_positions}: "
                "pass a larger one."
            )
        if unusual:
            return self.aside(x)
        if not self.training:
            if watched() or x.is_meta:  # a count cannot be read
                return narrow(self._by_trained_positions(wide(x)), x)
            self._check_trained(positions)
            return narrow(self._by_running_statistics(wide(x)), x)
        if x.shape[0] < 2:
            raise one_value("causal_batchnorm over 1 sample", "use more samples or norm=layernorm")
        return narrow(self._by_batch_statistics(wide(x)), x)

    def count_without_values(self, x: Tensor) -> None:
        """A batch without samples counts at each of its positions, as in BatchNorm."""
        if self.training:
            self.num_batches_tracked[: x.shape[1]] += 1

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], *rest: Any
    ) -> None:
        fill_in_count(self, state_dict, prefix, metadata)
        super()._load_from_state_dict(state_dict, prefix, metadata, *rest)

    def _by_running_statistics(self, x: Tensor) -> Tensor:
        positions = x.shape[1]
        weight, bias = self.gain_and_shift(x)
        scale = (self.running_var[:positions] + self.eps).rsqrt() * weight
        return torch.addcmul(bias, x - self.running_mean[:positions], scale)

    def _by_trained_positions(self, x: Tensor) -> Tensor:
        """The same, NaN at the positions at which `_check_trained` would raise."""
        counts = self.num_batches_tracked[: x.shape[1], None]
        untrained = (counts == 0) & (counts[:1] > 0)
        return self._by_running_statistics(x).masked_fill(untrained, torch.nan)

    def _by_batch_statistics(self, x: Tensor) -> Tensor:
        check_transforms("causal_batchnorm", x, self.running_mean)
        # torch.var_mean over the first dimension takes ten times as long.
        own = x.mean(0)  # (T, C), of each position alone
        centred = x - own
        mean, variance = own, centred.square().mean(0)
        counts = own.new_full((own.shape[0], 1), x.shape[0])
        if self.statistics == "prefix":
            mean, variance = prefix_moments(mean, variance)
            counts = counts.cumsum(0)
        if not recomputed():
            self._update_running(mean.detach(), variance.detach() * (counts / (counts - 1)))
        weight, bias = self.gain_and_shift(x)
        scale = (variance + self.eps).rsqrt() * weight
        return torch.addcmul(torch.addcmul(bias, own - mean, scale), centred, scale)

    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        """One update of the first T positions, with mean and unbiased variance (T, C)."""
        t = mean.shape[0]
        self.num_batches_tracked[:t] += 1
        share = self.running_mean.new_full((t, 1), self.momentum or 0.0)
        if self.momentum is None:
            share = 1 / self.num_batches_tracked[:t, None].to(share.dtype)
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            running[:t].lerp_(new.to(running.dtype), share)

    def _check_trained(self, positions: int) -> None:
        # Every sequence has the positions before its last, so the counts never rise.
        first, last = self.num_batches_tracked[[0, positions - 1]].tolist()
        if first and not last:
            trained = int((self.num_batches_tracked > 0).sum())
            raise NormLabError(
                f"this causal_batchnorm was trained on {trained} positions, not {positions}: "
                "pass no more."
            )

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, statistics={self.statistics}, "
            f"max_positions={self.max_positions}"
        )


def prefix_moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance (T, C) over positions 0 to t, from those of each position alone.

    Each position has as many samples. The squared distance between positions is summed by
    Welford's (1962) recursion in float64: its terms are positive, so nothing cancels, however far
    the mean lies from zero.
    """
    dtype = mean.dtype
    mean, variance = mean.double(), variance.double()
    count = torch.arange(1, mean.shape[0] + 1, dtype=torch.float64, device=mean.device).unsqueeze(1)
    prefix = mean.cumsum(0) / count
    steps = (mean[1:] - prefix[:-1]).square() * (count[:-1] / count[1:])
    between = F.pad(steps, (0, 0, 1, 0))  # the first position has none before it
    return prefix.to(dtype), ((variance + between).cumsum(0) / count).to(dtype)
