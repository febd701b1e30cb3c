"""What the formulas of the oracle are made of."""

from collections.abc import Mapping

from torch import Tensor

Parameters = Mapping[str, Tensor]


def standardize(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps), the statistics over `dims`."""
    centred = x - x.mean(dims, keepdim=True)
    return centred / (centred.pow(2).mean(dims, keepdim=True) + eps).sqrt()


def rescale(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """x / sqrt(mean of x² + eps), the mean over `dims`."""
    return x / (x.pow(2).mean(dims, keepdim=True) + eps).sqrt()


def affine(x: Tensor, p: Parameters) -> Tensor:
    """weight * x + bias for each channel of x (N, C, P), or without what `p` has not."""
    y = x * p["weight"].view(1, -1, 1) if "weight" in p else x
    return y + p["bias"].view(1, -1, 1) if "bias" in p else y
