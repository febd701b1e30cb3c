"""What is measured on the layer itself, by perturbing its input: one draw each."""

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from normlab.norms import make_norm, spec_of

CHANNELS = 32
SHAPES = {"NCHW": (8, CHANNELS, 6, 5), "NTC": (8, 7, CHANNELS), "NC": (8, CHANNELS)}
SCALES = (1e-2, 1.0, 1e3)  # of the input in low precision; the square of the last is beyond float16
OFFSETS = (0.0, 10.0)  # its mean, in standard deviations


def layer_metrics(norm: Mapping[str, Any], seed: int) -> dict[str, float | None]:
    """batch_error, causal_error, low_precision_error and fold_error of a layer, as below.

    None where it takes no such input. norm: what `make_norm` takes; `code` is left out.
    """
    options = {name: value for name, value in norm.items() if name not in ("kind", "code")}
    layouts = spec_of(norm["kind"], **options).layouts
    generator = torch.Generator().manual_seed(seed)
    layers = {
        layout: make_norm(norm["kind"], CHANNELS, layout, **options)
        for layout in SHAPES
        if layout in layouts
    }
    # A gain of 1 and a shift of 0 would hide what they do.
    for layer in layers.values():
        _disturb(layer, generator)
    first = next(iter(layers))
    return {
        "batch_error": max(
            batch_error(layer, SHAPES[layout], generator) for layout, layer in layers.items()
        ),
        "causal_error": causal_error(layers["NTC"], generator) if "NTC" in layers else None,
        "low_precision_error": low_precision_error(layers[first], SHAPES[first], generator),
        "fold_error": fold_error(layers[first], SHAPES[first], generator),
    }


def batch_error(norm: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> float:
    """How far a sample's output moves in training when all other samples are drawn anew.

    Beside the output's root mean square. Float32, so that a norm over samples gives some 1e-7 and
    not always 0.
    """
    x = torch.randn(shape, generator=generator)
    others = x.clone()
    # Of another scale and mean, so that any statistic over samples moves.
    others[1:] = 3 * torch.randn(x[1:].shape, generator=generator) + 1
    return _distance(_output(norm, x)[0], _output(norm, others)[0])


def causal_error(norm: nn.Module, generator: torch.Generator) -> float:
    """How far the first positions' outputs move in training when all later ones are drawn anew.

    Beside the outputs' root mean square, as in `batch_error`.
    """
    x = torch.randn(SHAPES["NTC"], generator=generator)
    first = x.shape[1] // 2
    later = x.clone()
    later[:, first:] = 3 * torch.randn(x[:, first:].shape, generator=generator) + 1
    return _distance(_output(norm, x)[:, :first], _output(norm, later)[:, :first])


def low_precision_error(
    norm: nn.Module, shape: tuple[int, ...], generator: torch.Generator
) -> float:
    """The largest error of a 16-bit input's output against the same layer in float64.

    Over dtypes, scales and offsets. Root mean square, beside the output's own; what is not finite,
    or is refused, counts as 1. Rounding the output alone gives 0.002 in bfloat16.
    """
    worst = 0.0
    for dtype in (torch.bfloat16, torch.float16):
        for scale in SCALES:
            for offset in OFFSETS:
                x = ((torch.randn(shape, generator=generator) + offset) * scale).to(dtype)
                # Of the rounded input: what is asked is the error that the layer adds.
                exact = _output(copy.deepcopy(norm).double(), x.double())
                try:
                    error = _distance(_output(norm, x).double(), exact, root_mean_square=True)
                # torch refuses with the first, norms of ours with the second, as a NormLabError.
                except (RuntimeError, ValueError):
                    error = 1.0
                # NaN is the only number that is not equal to itself.
                worst = max(worst, min(1.0, error) if error == error else 1.0)
    return worst


def fold_error(norm: nn.Module, shape: tuple[int, ...], generator: torch.Generator) -> float:
    """How far a layer in eval mode is from one scale and one shift per channel.

    Beside its largest output, in float64. The map is read off at inputs of 0 and 1; three batches
    in train mode have moved what statistics there are.
    """
    layer = copy.deepcopy(norm).double().train()
    with torch.no_grad():
        # Fixed statistics that are still 0 and 1 would leave nothing to fold.
        for _ in range(3):
            layer(3 * torch.randn(shape, generator=generator, dtype=torch.float64) + 1)
    layer.eval()
    # (N, C, H, W), else (N, T, C) or (N, C).
    channels = 1 if len(shape) == 4 else -1
    x = 3 * torch.randn(shape, generator=generator, dtype=torch.float64) - 1
    # One entry of every other axis: a map per channel has the same value all over them.
    at = tuple(
        slice(None) if axis == channels % len(shape) else slice(0, 1) for axis in range(len(shape))
    )
    with torch.no_grad():
        # An affine map is known by its values at 0 and 1.
        y, shift, scaled = layer(x), layer(torch.zeros_like(x))[at], layer(torch.ones_like(x))[at]
    return float((y - ((scaled - shift) * x + shift)).abs().max() / y.abs().max())


def _disturb(layer: nn.Module, generator: torch.Generator) -> None:
    """Parameters away from their special initial values."""
    with torch.no_grad():
        for parameter in layer.parameters():
            # By 0.5 to 1.5, and up to 0.1 more for those that start at 0.
            parameter.mul_(torch.rand(parameter.shape, generator=generator) + 0.5)
            parameter.add_(0.1 * torch.rand(parameter.shape, generator=generator))


def _output(norm: nn.Module, x: Tensor) -> Tensor:
    """In train mode, of a copy, so that one call leaves no trace in the next."""
    with torch.no_grad():
        return cast(Tensor, copy.deepcopy(norm).train()(x))


def _distance(y: Tensor, other: Tensor, root_mean_square: bool = False) -> float:
    difference = (y - other).double()
    size = other.double().square().mean().sqrt()
    far = difference.square().mean().sqrt() if root_mean_square else difference.abs().max()
    return float(far / size)
