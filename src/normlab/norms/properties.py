"""A norm's NormSpec, found out by perturbing the input, the other samples, the later positions and the mode."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from normlab.norms.base import LAYOUTS, NormSpec

# Every size differs from every other, so that a layer which takes one axis for another does not fit.
CHANNELS = 32
SHAPES = {"NC": (8, CHANNELS), "NCHW": (6, CHANNELS, 5, 3), "NTC": (6, 7, CHANNELS)}
FIRST = 3  # positions that must not change with those after them


def measured_spec(build: Callable[[str], nn.Module], options: tuple[str, ...] = ()) -> NormSpec:
    """What the layers of `build(layout)`, over 32 channels, do with a training batch of sequences, else of images.

    Layouts that they raise for, or whose shape they do not give back, are not among the spec's. In float64, with two
    outputs taken for the same if they agree to 1e-3.

    Raises:
        The layer's own exception for the last layout, if it takes none.
    """
    layouts = []
    error: Exception | None = None
    for layout, shape in SHAPES.items():
        try:
            if _output(build(layout), _draw(layout)).shape == shape:
                layouts.append(layout)
        except Exception as raised:
            error = raised
    if not layouts:
        raise error or ValueError("the output has another shape than the input")
    layout = next(name for name in ("NTC", "NCHW", "NC") if name in layouts)
    norm = build(layout)
    x = _draw(layout)
    y = partial(_output, norm)
    others, later = x.clone(), x.clone()
    others[1:] = 3 * _draw(layout, seed=1)[1:] + 1
    positions = (
        (slice(None), slice(FIRST, None))
        if layout == "NTC"
        else (..., slice(FIRST, None), slice(None))
    )
    first = (slice(None), slice(FIRST)) if layout == "NTC" else (..., slice(FIRST), slice(None))
    later[positions] = 3 * _draw(layout, seed=1)[positions] + 1
    return NormSpec(
        centred=_same(y(x + 5), y(x)),
        scaled=_same(y(x * 5), y(x)),
        batch_dependent=not _same(y(x)[0], y(others)[0]),
        train_eval_differ=not _same(y(x), _output(norm, x, training=False)),
        # (N, C) has no positions.
        causal_safe=layout == "NC" or _same(y(x)[first], y(later)[first]),
        has_shift=any(_shifts(norm, name, x, layout) for name, _ in norm.named_parameters()),
        layouts=tuple(name for name in LAYOUTS if name in layouts),
        options=options,
    )


def _shifts(norm: nn.Module, name: str, x: Tensor, layout: str) -> bool:
    """Whether a channel's output follows parameter `name`, from 100 to 101: past any threshold."""
    outputs = []
    for value in (100.0, 101.0):
        changed = copy.deepcopy(norm)
        parameter = changed.get_parameter(name)
        if parameter.numel() != CHANNELS:
            return False
        with torch.no_grad():
            parameter.fill_(value)
        outputs.append(_output(changed, x))
    return _same(outputs[1] - outputs[0], torch.ones((), dtype=torch.float64))


def _output(norm: nn.Module, x: Tensor, training: bool = True) -> Tensor:
    """What a copy of `norm` gives, so that one call leaves no trace in the next."""
    with torch.no_grad():
        return copy.deepcopy(norm).double().train(training)(x)


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b.expand_as(a), rtol=1e-3, atol=1e-3)


def _draw(layout: str, seed: int = 0) -> Tensor:
    """Float64 values whose channels have means and scales of their own, off centre."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(SHAPES[layout], generator=generator, dtype=torch.float64)
    scale = torch.linspace(0.5, 2, CHANNELS, dtype=torch.float64)
    shift = torch.linspace(-1, 2, CHANNELS, dtype=torch.float64)
    if layout == "NCHW":
        scale, shift = scale[:, None, None], shift[:, None, None]
    return x * scale + shift
