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
            raise NormLabError(f"momentum must be between 0 and 1 or null for the cumulative average, not {momentum}.")
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

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """`start`: the position of the first of T, for decoding step by step in eval mode."""
        self.check(x)
        end = start + x.shape[1]
        if end > self.max_positions:
            raise NormLabError(
                f"{end} positions are more than norm.max_positions={self.max_positions}: pass a larger one."
            )
        h = wide(x)
        if self.training:
            mean, variance = self._of_batch(h, start)
        else:
            self._check_trained(end)
            mean, variance = self.running_mean[start:end], self.running_var[start:end]
        scale = (variance + self.eps).rsqrt() * self.weight
        return narrow(torch.addcmul(self.bias, h - mean, scale), x)

    def _of_batch(self, x: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Mean and biased variance (T, C) of each position, after the running statistics have taken them in."""
        n, t, _ = x.shape
        if start:
            raise NormLabError(f"training starts at position 0, not {start}: pass whole sequences.")
        if n < 2:
            raise one_value("causal_batchnorm over 1 sample", "use more samples or norm=layernorm")
        variance, mean = torch.var_mean(x, dim=0, correction=0)
        counts = mean.new_full((t, 1), n)
        if self.statistics == "prefix":
            mean, variance = prefix_moments(mean, variance)
            counts = counts.cumsum(0)
        with torch.no_grad():
            self.num_batches_tracked[:t] += 1
            share = mean.new_full((t, 1), self.momentum or 0.0)
            if self.momentum is None:
                share = 1 / self.num_batches_tracked[:t, None].to(mean.dtype)
            for running, new in ((self.running_mean, mean), (self.running_var, variance * (counts / (counts - 1)))):
                running[:t].lerp_(new.to(running.dtype), share.to(running.dtype))
        return mean, variance

    def _check_trained(self, end: int) -> None:
        # Every sequence has the positions before its last, so the counts never rise.
        first, last = self.num_batches_tracked[[0, end - 1]].tolist()
        if first and not last:
            trained = int((self.num_batches_tracked > 0).sum())
            raise NormLabError(f"this causal_batchnorm was trained on {trained} positions, not {end}: pass no more.")

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
