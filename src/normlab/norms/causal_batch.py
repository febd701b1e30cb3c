"""Batch norm for causal models: no statistic takes in a later position."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.errors import NormLabError, choices
from normlab.norms.base import Norm, check_eps, narrow, norm_kind, one_value, wide

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
    """Batch norm of sequences (N, T, C) with statistics for each position, gain and bias shared by all.

    statistics: `position`, over the samples at that position, as the time steps of Cooijmans et al. 2016; `prefix`,
    over the samples at that position and all before it.
    momentum: as in BatchNorm, for each position: null averages over the batches that reached it.
    max_positions: longest sequence; running statistics are (max_positions, C).

    In eval mode each position is normalized by its own running statistics, those of a new layer being 0 and 1. Raises
    NormLabError for a sequence that is longer than max_positions or, in eval mode, than any that it was trained on,
    and in training for a single sample, the first position of which is a single value.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        layout: str,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        statistics: Literal["position", "prefix"] = "position",
        max_positions: int = 1024,
    ):
        super().__init__(num_features, layout)
        if momentum is not None and not 0 <= momentum <= 1:
            raise NormLabError(
                f"momentum must be between 0 and 1 or null for the cumulative average, not {momentum}."
            )
        if statistics not in STATISTICS:
            raise choices("statistics", statistics, STATISTICS)
        if max_positions < 1:
            raise NormLabError(f"max_positions must be at least 1, not {max_positions}.")
        self.eps = check_eps(eps)
        self.momentum = momentum
        self.statistics = statistics
        self.max_positions = max_positions
        self.register_buffer("running_mean", torch.zeros(max_positions, num_features))
        self.register_buffer("running_var", torch.ones(max_positions, num_features))
        self.register_buffer("num_batches_tracked", torch.zeros(max_positions, dtype=torch.long))
        self.add_affine()

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        positions = x.shape[1]
        if positions > self.max_positions:
            raise NormLabError(
                f"{positions} positions are more than norm.max_positions={self.max_positions}: pass a larger one."
            )
        h = wide(x)
        if self.training:
            if len(x) < 2:
                raise one_value(
                    "causal_batchnorm over 1 sample", "use more samples or norm=layernorm"
                )
            return narrow(self._by_batch(h), x)
        self._check_trained(positions)
        scale = (self.running_var[:positions] + self.eps).rsqrt() * self.weight
        return narrow(torch.addcmul(self.bias, h - self.running_mean[:positions], scale), x)

    def _by_batch(self, x: Tensor) -> Tensor:
        # torch.var_mean over the first dimension takes ten times as long.
        own = x.mean(0)  # (T, C)
        centred = x - own
        mean, variance = own, centred.square().mean(0)
        counts = own.new_full((len(own), 1), len(x))
        if self.statistics == "prefix":
            mean, variance = prefix_moments(mean, variance)
            counts = counts.cumsum(0)
        self._update_running(mean.detach(), variance.detach() * (counts / (counts - 1)))
        scale = (variance + self.eps).rsqrt() * self.weight
        return torch.addcmul(torch.addcmul(self.bias, own - mean, scale), centred, scale)

    def _update_running(self, mean: Tensor, variance: Tensor) -> None:
        """(T, C) each, the variance unbiased."""
        t = len(mean)
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
                f"this causal_batchnorm was trained on {trained} positions, not {positions}: pass no more."
            )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, statistics={self.statistics}, max_positions={self.max_positions}"


def prefix_moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """From the mean and biased variance (T, C) of as many samples at each position, those of positions 0 to t.

    The squared distance between positions is summed by Welford's (1962) recursion in float64: its terms are positive,
    so nothing cancels, however far the mean lies from zero.
    """
    dtype = mean.dtype
    mean, variance = mean.double(), variance.double()
    count = torch.arange(1, len(mean) + 1, dtype=torch.float64, device=mean.device).unsqueeze(1)
    prefix = mean.cumsum(0) / count
    steps = (mean[1:] - prefix[:-1]).square() * (count[:-1] / count[1:])
    return prefix.to(dtype), ((variance + F.pad(steps, (0, 0, 1, 0))).cumsum(0) / count).to(dtype)
