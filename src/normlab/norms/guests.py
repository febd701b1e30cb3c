"""A guest, a norm that lies elsewhere (norm=custom), is tried before it is used.

`normlab.norms.custom` finds the layouts in which a class gives back the shape that it was given. A
class that learns nothing per channel does so in any of them, with its channels on whatever axis it
takes for theirs; and a class that normalizes nothing keeps the shape as well.
"""

import inspect
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.norms.custom import CustomNorm, custom_spec, plain_options
from normlab.norms.properties import CHANNELS
from normlab.norms.registry import import_target
from normlab.norms.spec import LAYOUTS, NormSpec

# What classes call it to learn a gain for each channel, or to keep a statistic of each.
_PER_CHANNEL = ("affine", "elementwise_affine", "track_running_stats")
_GROWTH = 1000.0  # of an input: the output of what normalizes follows by less than half


def guest_spec(target: object, options: object = None, num_features: int = CHANNELS) -> NormSpec:
    """What the class at `target` does, with the layouts whose channels it takes for such.

    Raises:
        NormLabError: what `custom_spec` refuses, or a class that fits no layout or normalizes
            nothing.
    """
    with _quietly():
        spec, faults = _tried(target, options, num_features)
        layouts = tuple(name for name, fault in faults.items() if not fault)
        if not layouts:
            raise NormLabError(f"norm.target={target} {next(iter(faults.values()))}.")
        if layouts == spec.layouts:
            return spec
        if isinstance(getattr(import_target(target), "spec", None), NormSpec):
            return replace(spec, layouts=layouts)
        # Not by what it did along another axis.
        return custom_spec(target, options, layouts)


def check_guest_layout(target: object, options: object, layout: str, num_features: int) -> None:
    """Return if the class can stand where `layout` has `num_features` channels.

    Raises:
        NormLabError: it cannot, by its name, with the reason and with the layouts that it takes.
    """
    with _quietly():
        _, faults = _tried(target, options, num_features)
    fault = faults.get(layout, "raises, changes the shape, or is declared not to work")
    if fault:
        fitting = ", ".join(name for name, other in faults.items() if not other) or "none"
        raise NormLabError(
            f"norm.target={target} cannot take layout {layout} with {num_features} channels, "
            f"where it {fault}: choose one of {fitting} or a model that needs one of them, "
            "another width or another norm."
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Of what is tried, nobody is warned, and no number that it draws is missed."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        yield


def _tried(target: object, options: object, num_features: int) -> tuple[NormSpec, dict[str, str]]:
    """What the class does, and what speaks against each layout that it seems to take, or ""."""
    spec = custom_spec(target, options)
    kept = json.dumps(plain_options(options), sort_keys=True)
    faults = {name: _fault(target, kept, name, num_features) for name in spec.layouts}
    return spec, faults


@cache
def _fault(target: object, options: str, layout: str, num_features: int) -> str:
    """Why the class must not be used for `layout`; "" where nothing speaks against it."""
    build = import_target(target)
    keywords = inspect.signature(build).parameters
    if isinstance(getattr(build, "spec", None), NormSpec):
        return ""  # its author says what it does
    given = json.loads(options)
    x = _draw(layout, num_features)
    try:
        norm = CustomNorm(num_features, layout, target, given)
        y, warned = _output(norm, x)
    except Exception as error:  # whatever a class of somebody else's raises
        return f"raises {type(error).__name__}: {error}"
    if float(_output(norm, _GROWTH * x)[0].abs().max()) > 0.5 * _GROWTH * float(y.abs().max()):
        return (
            "normalizes nothing, for its output grows with its input (a class that means to has an "
            "attribute `spec`: see normlab.norms.custom)"
        )
    tensors = [*norm.parameters(), *norm.buffers()]
    if "layout" in keywords or any(num_features in tensor.shape for tensor in tensors):
        return ""  # it was told, or has a value for each channel, which fits no other axis
    if warned:
        return f"takes other values for its {num_features} channels in layout {layout}"
    for name in _PER_CHANNEL:
        if name in keywords:
            learning = {**given, name: True}
            return "" if _accepts(target, learning, layout, x) else _elsewhere(layout)
    return "" if _finds_channels(target, given, layout, num_features) else _elsewhere(layout)


def _elsewhere(layout: str) -> str:
    return (
        f"takes its channels from another axis than that of layout {layout} (a keyword `layout` "
        "would tell it: see normlab.norms.custom)"
    )


def _accepts(target: object, options: dict[str, Any], layout: str, x: Tensor) -> bool:
    channels = x.shape[-1] if layout == "NTC" else x.shape[1]
    try:
        norm = CustomNorm(channels, layout, target, options)
        return not _output(norm, x)[1]
    except Exception:  # whatever a class of somebody else's raises
        return False


def _finds_channels(target: object, options: dict[str, Any], layout: str, channels: int) -> bool:
    """Whether a class that learns nothing treats `layout` as it treats those that are certain.

    Rows (N, C) have one axis besides the samples. Of maps the rows and columns are alike, so that
    what tells them apart has taken one for channels. Of (N, T, C) nothing can be told by itself.
    """
    mixes = {}
    for name in ("NC", "NCHW", layout):
        try:
            norm = CustomNorm(channels, name, target, options)
            x = _draw(name, channels)
            if name == "NCHW" and not _same(_output(norm, x.mT)[0].mT, _output(norm, x)[0]):
                continue
            mixes[name] = _mixes_channels(norm, x, name)
        except Exception:  # whatever a class of somebody else's raises
            continue
    if layout == "NTC" and len(mixes) == 1:
        return False
    return layout in mixes and len(set(mixes.values())) == 1


def _mixes_channels(norm: nn.Module, x: Tensor, layout: str) -> bool:
    """Whether a channel's output depends on the other channels."""
    axis = 2 if layout == "NTC" else 1
    changed = 3 * x + 1
    changed.select(axis, 0).copy_(x.select(axis, 0))
    before, after = (_output(norm, values)[0].select(axis, 0) for values in (x, changed))
    return not _same(before, after)


def _output(norm: nn.Module, x: Tensor) -> tuple[Tensor, bool]:
    """In train mode, the same whatever it draws; and whether it warned of its number of features.

    As torch's instance norms do where they have no use for that number.
    """
    with (
        torch.no_grad(),
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        torch.manual_seed(0)
        y: Tensor = norm.double().train()(x)
    return y, any("num_features" in str(one.message) for one in caught)


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3)


def _draw(layout: str, channels: int) -> Tensor:
    """Float64, with a size of its own for each axis: no axis passes for another."""
    sizes = [size for size in (6, 7, 5, 4) if size != channels]
    shape = sizes[: LAYOUTS[layout]]
    shape[-1 if layout == "NTC" else 1] = channels
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 2 + 1
