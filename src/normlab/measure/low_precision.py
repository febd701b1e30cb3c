"""Means and variances computed in 16 bits, as naive code and as torch's kernels do, and a batch
norm that uses them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normlab.norms.batch import BatchNorm

Moments = dict[
    int, tuple[Tensor, Tensor]
]  # number of values -> mean and (biased) variance, (...) each


def sums(x: Tensor, sizes: Iterable[int]) -> Moments:
    """Sum of x and sum of x², one value after another: mean of squares minus square of the mean.

    Everything is rounded to the dtype of `x` (N, ...), as in every method here but `library`. Each
    size n in `sizes` gives the moments of the first n values.
    """
    totals, squares = _running_sum(x), _running_sum(x * x)
    means = {n: totals[n - 1] / n for n in sizes}
    return {n: (mean, squares[n - 1] / n - mean * mean) for n, mean in means.items()}


def two_passes(x: Tensor, sizes: Iterable[int]) -> Moments:
    """Sums one value after another: of x, then of (x - mean)²."""
    totals, moments = _running_sum(x), {}
    for n in sizes:
        mean = totals[n - 1] / n
        moments[n] = mean, _running_sum((x[:n] - mean).square())[-1] / n
    return moments


def pairs(x: Tensor, sizes: Iterable[int]) -> Moments:
    """Two passes whose sums are trees, as parallel code adds: errors grow with log N. Sizes are
    powers of 2."""

    def tree(values: Tensor) -> Tensor:
        while len(values) > 1:
            values = values[0::2] + values[1::2]
        return values[0]

    moments = {}
    for n in sizes:
        mean = tree(x[:n]) / n
        moments[n] = mean, tree((x[:n] - mean).square()) / n
    return moments


def welford(x: Tensor, sizes: Iterable[int]) -> Moments:
    """Mean and sum of squares around it, corrected value by value (Welford 1962). The count is
    exact."""
    wanted, moments = set(sizes), {}
    mean, squares = torch.zeros_like(x[0]), torch.zeros_like(x[0])
    for n, value in enumerate(x[: max(wanted)], start=1):
        delta = value - mean
        mean = mean + delta / n
        squares = squares + delta * (value - mean)
        if n in wanted:
            moments[n] = mean, squares / n
    return moments


def library(x: Tensor, sizes: Iterable[int]) -> Moments:
    """What `F.batch_norm` stores for 16-bit input in the float32 buffers that it has under
    autocast."""
    flat, moments = x.flatten(1), {}
    for n in sizes:
        mean, var = torch.zeros(flat.shape[1]), torch.ones(flat.shape[1])
        F.batch_norm(flat[:n], mean, var, training=True, momentum=1.0)
        # The kernel stores the unbiased variance.
        moments[n] = mean.view(x.shape[1:]), var.view(x.shape[1:]) * (n - 1) / n
    return moments


METHODS: dict[str, Callable[[Tensor, Iterable[int]], Moments]] = {
    "sums": sums,
    "two passes": two_passes,
    "pairs": pairs,
    "welford": welford,
    "library": library,
}


def exact(x: Tensor, sizes: Iterable[int]) -> Moments:
    """In float64, of the values as they are after rounding to 16 bits."""
    wide = x.double()
    return {n: (wide[:n].mean(0), wide[:n].var(0, unbiased=False)) for n in sizes}


def error(found: tuple[Tensor, Tensor], true: tuple[Tensor, Tensor]) -> Tensor:
    """How far (x - mean) / deviation is off, (...): root mean square, in units of its own size,
    which is 1.

    Nothing (a deviation of infinity), what is not finite, and more than 1 count as 1.
    """
    (mean, var), (true_mean, true_var) = (
        [part.double() for part in moments] for moments in (found, true)
    )
    # (x - mean) / deviation is off by scale * (its true value, of root mean square 1) plus shift.
    scale = (true_var / var).sqrt() - 1
    shift = (mean - true_mean) / var.sqrt()
    return torch.hypot(scale, shift).nan_to_num(nan=1.0, posinf=1.0).clamp(max=1.0)


def formula(x: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps), everything in the dtype of `x`, eps included."""
    mean, var, added = (
        value.to(x.dtype) for value in (mean, var, torch.tensor(eps, dtype=torch.float64))
    )
    return (x - mean) / (var + added).sqrt()


def _running_sum(values: Tensor) -> Tensor:
    """Cumulative sums over axis 0, each rounded to the dtype of `values`."""
    if values.dtype == torch.float16:  # numpy rounds each, torch.cumsum only the result
        with np.errstate(over="ignore", invalid="ignore"):
            return torch.from_numpy(np.add.accumulate(values.numpy(), axis=0))
    totals = [values[0]]
    for value in values[1:]:
        totals.append(totals[-1] + value)
    return torch.stack(totals)


class RoundedNorm(BatchNorm):
    """Batch norm of images whose statistics, or whose formula, are rounded to float16; all else is
    float32.

    The gradient is that of the float32 formula with the rounded statistics. The running variance
    is biased, where BatchNorm's is unbiased.

    Args:
        eps: added to the variance; where the formula is rounded, so is eps. moments: the method
        that computes a training batch's moments from its float16 values; None: float32. formula:
        whether the mean, variance + eps, its root and the quotient are rounded, too.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        moments: Callable[[Tensor, Sequence[int]], Moments] | None = None,
        formula: bool = False,
    ) -> None:
        super().__init__(num_features, "NCHW", eps=eps)
        self.moments, self.formula = moments, formula

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        mean, var = self.running_mean, self.running_var
        if self.training:
            var, mean = torch.var_mean(x, (0, 2, 3), unbiased=False)
            if self.moments is not None:
                rows = x.detach().half().transpose(0, 1).flatten(1).T.contiguous()  # (N H W, C)
                low_mean, low_var = self.moments(rows, (len(rows),))[len(rows)]
                mean, var = _rounded(mean, low_mean), _rounded(var, low_var)
            share = self.count_batch()
            self.running_mean.lerp_(mean.detach(), share)
            self.running_var.lerp_(var.detach(), share)
        mean, var = self.per_channel(mean), self.per_channel(var)
        y = (x - mean) * (var + self.eps).rsqrt()
        if self.formula:
            y = _rounded(y, formula(x.detach().half(), mean.detach(), var.detach(), self.eps))
        weight, bias = self.gain_and_shift(x)
        return y * self.per_channel(weight) + self.per_channel(bias)


def _rounded(value: Tensor, low: Tensor) -> Tensor:
    """`low` with the gradient of `value`."""
    return value + (low.to(value.dtype) - value).detach()


def replace_norms(model: nn.Module, **options: Any) -> None:
    """Puts a RoundedNorm in the place of every batch norm, in place."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            # Not isinstance: a RoundedNorm is a BatchNorm too, and is not replaced again.
            if type(child) is BatchNorm:
                setattr(parent, name, RoundedNorm(child.num_features, **options))
