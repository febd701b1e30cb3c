"""A norm's NormSpec, measured: by other inputs, other samples, later positions and modes."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from normlab.norms.spec import LAYOUTS, MAP_LAYOUTS, NormSpec

# Every size differs from every other, so that a layer which takes one axis for another does not
# fit.
CHANNELS = 32
SHAPES = {
    "NC": (8, CHANNELS),
    "NCL": (6, CHANNELS, 7),
    "NCHW": (6, CHANNELS, 5, 3),
    "NCDHW": (6, CHANNELS, 5, 3, 2),
    "NTC": (6, 7, CHANNELS),
}
EARLY = 3  # positions that must not change with those after them


def measured_spec(
    build: Callable[[str], nn.Module],
    options: tuple[str, ...] = (),
    layouts: tuple[str, ...] = tuple(LAYOUTS),
) -> NormSpec:
    """What the layers of `build(layout)` do with a training batch of sequences, else of images.

        Layouts that they raise for, or whose shape they do not give back, are not among the spec's.
    X
        Raises:
            The layer's own exception for the last layout, if it takes none.
    """
    layouts = _accepted_layouts(build, layouts)
    layout = next(name for name in ("NTC", "NCHW", "NC") if name in layouts)
    norm = build(layout)
    x = _draw(layout)
    y = _output(norm, x)
    with_other_samples = x.clone()
    with_other_samples[1:] = 3 * _draw(layout, seed=1)[1:] + 1
    return NormSpec(
        centred=_same(_output(norm, x + 5), y),
        scaled=_same(_output(norm, x * 5), y),
        batch_dependent=not _same(y[0], _output(norm, with_other_samples)[0]),
        train_eval_differ=not _same(y, _output(norm, x, training=False)),
        causal_safe=_is_causal_safe(norm, x, layout),
        has_shift=any(_shifts(norm, name, x) for name, _ in norm.named_parameters()),
        layouts=layouts,
        options=options,
    )


def _accepted_layouts(
    build: Callable[[str], nn.Module], layouts: tuple[str, ...]
) -> tuple[str, ...]:
    accepted = set()
    error: Exception | None = None
    for layout in layouts:
        try:
            if _output(build(layout), _draw(layout)).shape == SHAPES[layout]:
                accepted.add(layout)
        except Exception as raised:  # whatever a class of somebody else's raises
            error = raised
    if not accepted:
        raise error or ValueError("the output has another shape than the input")
    return tuple(layout for layout in LAYOUTS if layout in accepted)


def _is_causal_safe(norm: nn.Module, x: Tensor, layout: str) -> bool:
    """Whether the early positions of the output stay as they are when later ones of `x` change."""
    if layout == "NC":
        return True  # it has no positions
    axis = 1 if layout == "NTC" else 2  # of maps, the rows
    others = x.shape[axis] - EARLY
    changed = x.clone()
    new = 3 * _draw(layout, seed=1) + 1
    changed.narrow(axis, EARLY, others).copy_(new.narrow(axis, EARLY, others))
    before = _output(norm, x).narrow(axis, 0, EARLY)
    return _same(before, _output(norm, changed).narrow(axis, 0, EARLY))


def _shifts(norm: nn.Module, name: str, x: Tensor) -> bool:
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


def _output(norm: nn.Module, x: Tensor, *, training: bool = True) -> Tensor:
    """What a copy of `norm` gives, so that one call leaves no trace in the next."""
    with torch.no_grad():
        y: Tensor = copy.deepcopy(norm).double().train(training)(x)
    return y


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b.expand_as(a), rtol=1e-3, atol=1e-3)


def _draw(layout: str, seed: int = 0) -> Tensor:
    """Float64 values whose channels have means and scales of their own, off centre."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(SHAPES[layout], generator=generator, dtype=torch.float64)
    scale = torch.linspace(0.5, 2, CHANNELS, dtype=torch.float64)
    shift = torch.linspace(-1, 2, CHANNELS, dtype=torch.float64)
    if layout in MAP_LAYOUTS:
        trailing = [1] * (x.ndim - 2)
        scale, shift = scale.view(-1, *trailing), shift.view(-1, *trailing)
    return x * scale + shift
