"""What a layer of any class does as a norm, known by what it does with random inputs."""

import copy
import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from normlab.tools.eps import eps_of
from normlab.tools.forward_pass import error_in_words
from normlab.tools.hooks import clear_hooks

# Relative: rounding in float32, and an eps of the usual size that is not found, stay below it.
_TOLERANCE = 1e-3


class Behaviour(NamedTuple):
    """What a norm does with its input, whatever it is called.

    LayerNorm centres and shifts, RMSNorm does neither.
    """

    centres: bool  # adding a constant to the input changes nothing
    shifts: bool  # an input of zeros gives something else than zeros
    by_token: bool  # each vector along the last dimension by itself


@torch.no_grad()
def behaviour(layer: nn.Module, x: Tensor, *others: Any, **keywords: Any) -> Behaviour | None:
    """What the norm `layer` does with random input of the shape of `x`; None if it is no norm.

    others, keywords: what else it is called with.
    """
    layer = copy.deepcopy(layer).train()  # BatchNorm is a norm in train mode only
    for parameter in layer.parameters():
        parameter.uniform_(0.5, 1.5)  # a bias of 0 would not be seen

    def output(x: Tensor) -> Any:
        return layer(x, *others, **keywords)

    def same(a: Tensor, b: Tensor) -> bool:
        return torch.allclose(a, b, rtol=0.01, atol=0.01)

    x = 3 * torch.randn_like(x)
    y = output(x)
    if not isinstance(y, Tensor) or y.shape != x.shape:
        return None
    if not same(output(4 * x), y):  # the input's scale counts
        return None
    if same(output(torch.randn_like(x)), y):  # nothing of the input counts
        return None
    # Every vector but one drawn anew: does the one that stays keep its output?
    first = (0,) * (x.dim() - 1)
    changed = torch.randn_like(x)
    changed[first] = x[first]
    return Behaviour(
        centres=same(output(x + 3), y),
        shifts=not same(output(torch.zeros_like(x)), torch.zeros_like(y)),
        by_token=same(output(changed)[first], y[first]),
    )


@dataclass(frozen=True)
class ProbedNorm:
    """A layer that is a norm of each position by itself, or seems to be one.

    kind: "" if it cannot be read, for the `reason`. channels: "first", (N, C, *), or "last",
    (*, C). weight, bias: gain and shift (C,), or None.
    """

    kind: str = ""
    features: int = 0
    channels: str = ""
    weight: Tensor | None = None
    bias: Tensor | None = None
    reason: str = ""


def probe_norm(module: nn.Module, followers: Collection[str] = ()) -> ProbedNorm | None:
    """What the layer `module` does with random inputs; None if it is no norm of each position.

    Its one or two parameters, all of one dimension, tell how many channels it has. Gain and shift
    follow from the outputs and are checked on other inputs; each is the layer's own parameter
    where one holds it. Nothing of the layer changes.

    followers: names of its children that work after the norm, and are left out.
    """
    features = _features(module)
    # A module with others inside is no single norm; those that follow a norm are taken off it.
    inside = set(dict(module.named_children())) - set(followers)
    if features is None or features < 2 or inside:
        return None
    named = "norm" in type(module).__name__.lower()
    if any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        return ProbedNorm(reason="on the meta device nothing can be measured") if named else None
    errors = []
    # The caller's random state stays as it was; everything here is on the CPU.
    with torch.random.fork_rng(devices=[]):
        for channels, x in _inputs(features):
            try:
                norm = _probe(module, followers, channels, x)
            except Exception as error:  # what a class of somebody else's raises at such an input
                errors.append(error_in_words(error))
                continue
            if norm is not None:
                return norm
    # An odd layer that raises is no news unless it is called a norm.
    if named and len(errors) == 2:
        if more := _more_than_input(module):
            return ProbedNorm(reason=more)
        return ProbedNorm(reason=f"called with random inputs it raises {errors[0]}")
    return None


def _more_than_input(module: nn.Module) -> str:
    """What its forward takes beside the input, in words; "" if that is nothing."""
    more = list(inspect.signature(module.forward).parameters)[1:]
    return f"its forward takes more than the input: {', '.join(more)}" if more else ""


def _features(module: nn.Module) -> int | None:
    """How many channels its parameters say that it has; None if they do not say it."""
    own = list(module.parameters(recurse=False))
    # A lazy layer's parameters have no shape before its first batch.
    if any(map(is_lazy, own)) or len(own) > 2:
        return None
    sizes = {tuple(parameter.shape) for parameter in own} or {_stated_shape(module)}
    if len(sizes) > 1:
        return None
    (size,) = sizes
    return size[0] if len(size) == 1 else None


def _stated_shape(module: nn.Module) -> tuple[int, ...]:
    """The `normalized_shape` of a layer without parameters, which alone says its channels."""
    stated = getattr(module, "normalized_shape", None)
    shape = tuple(stated) if isinstance(stated, tuple | list) else (stated,)
    # Whatever else somebody's class keeps under that name, None say, is no shape.
    return tuple(size for size in shape if isinstance(size, int))


def _inputs(features: int) -> Iterator[tuple[str, Tensor]]:
    """Where the channels are, and an input with no other axis of their size."""
    # A wrong axis must fail: with two of one size the layer would take either for the channels.
    positions = 7 if features != 7 else 11
    yield "last", torch.randn(2, positions, features)
    yield "first", torch.randn(2, features, positions, 5 if features != 5 else 3)


@torch.no_grad()
def _probe(
    module: nn.Module, followers: Collection[str], channels: str, x: Tensor
) -> ProbedNorm | None:
    """A norm of `x`, with a reason if it does more than that; None if it is no norm of it."""
    # In eval mode and float32, whatever the layer is in: gain and shift are read off to 0.1 %.
    probe = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    for name in followers:
        setattr(probe, name, nn.Identity())
    clear_hooks(probe)
    layer = _ChannelsLast(probe, channels)
    # (2, positions, C) or (2, positions, 5, C): `_ChannelsLast` turns it back for the layer.
    x = x if channels == "last" else x.movedim(1, -1)
    norm = behaviour(layer, x)
    if norm is None:
        return None
    # The network may call it with more than the input, and another norm takes no more.
    if more := _more_than_input(module):
        return ProbedNorm(reason=more)
    if not norm.by_token:
        return ProbedNorm(reason="a norm of its own, over more than the channels of a position")
    normalize = _normalization(probe, centres=norm.centres)
    now = _gain_and_shift(layer, normalize, x)
    # Which parameter is the gain and which the shift cannot be seen by their values now, which
    # may be alike: drawn anew they are not.
    for parameter in probe.parameters():
        parameter.uniform_(0.5, 1.5)
    drawn = _gain_and_shift(layer, normalize, x)
    if now is None or drawn is None:
        return ProbedNorm(
            reason="it does more with the normalized input than one gain and one shift per channel"
        )
    gain, shift = (_own(module, probe, *values) for values in zip(now, drawn, strict=True))
    return ProbedNorm(
        kind=("" if channels == "last" else "channel_")
        + ("layernorm" if norm.centres else "rmsnorm"),
        features=x.shape[-1],
        channels=channels,
        weight=gain,
        bias=shift if norm.shifts else None,
    )


def _normalization(probe: nn.Module, *, centres: bool) -> Callable[[Tensor], Tensor]:
    """Layer norm or RMSNorm over the last dimension, with the eps that `probe` has."""
    eps = eps_of(probe) or 0.0

    def normalize(x: Tensor) -> Tensor:
        return (F.layer_norm if centres else F.rms_norm)(x, x.shape[-1:], eps=eps)

    return normalize


def _gain_and_shift(
    layer: nn.Module, normalize: Callable[[Tensor], Tensor], x: Tensor
) -> tuple[Tensor, Tensor] | None:
    """(C,) each; None if they do not make the outputs of other inputs."""
    # A norm of zeros is zero, which leaves the shift.
    shift = layer(torch.zeros_like(x)).flatten(0, -2)[0]
    xhat = normalize(x)
    products = ((layer(x) - shift) * xhat).flatten(0, -2).sum(0)
    gain = products / xhat.square().flatten(0, -2).sum(0)  # least squares
    # On other inputs: a gain by least squares exists for any layer, and says nothing by itself.
    x = 3 * torch.randn_like(x) + 1
    error = (layer(x) - (gain * normalize(x) + shift)).abs().max()
    return (gain, shift) if error <= _TOLERANCE * (1 + gain.abs().max()) else None


class _ChannelsLast(nn.Module):
    """A layer of inputs (*, C), whichever it takes itself."""

    def __init__(self, layer: nn.Module, channels: str) -> None:
        super().__init__()
        self.layer, self.channels = layer, channels

    def forward(self, x: Tensor) -> Any:
        if self.channels == "last":
            return self.layer(x)
        return self.layer(x.movedim(-1, 1)).movedim(1, -1)


def _own(module: nn.Module, probe: nn.Module, values: Tensor, drawn: Tensor) -> Tensor | None:
    """The parameter of `module` that holds `values`, as the one of `probe` now holds `drawn`.

    Where none does (Gemma's gain is 1 + weight), a new one like the others. None for a layer
    without parameters.
    """
    for name, parameter in probe.named_parameters(recurse=False):
        if torch.allclose(parameter, drawn, rtol=_TOLERANCE, atol=1e-4):
            return module.get_parameter(name)
    # Of the device and dtype of the layer, and learned if its own parameters are.
    like = next(module.parameters(recurse=False), None)
    if like is None:
        return None
    return nn.Parameter(values.to(like.device, like.dtype), like.requires_grad)
