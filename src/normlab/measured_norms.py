"""Norms of each position by itself, of any class, known by what they do with random inputs."""

import copy
import inspect
from collections.abc import Collection, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.claims.architectures import behaviour

HOOKS = {  # on a module's calls
    *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks"),
    *("_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks"),
}
_TOLERANCE = 1e-3


class Measured(NamedTuple):
    """A norm's kind ("" if it cannot be read, for the `reason`), its channels "first" or "last", its gain and shift."""

    kind: str = ""
    features: int = 0
    channels: str = ""
    weight: Tensor | None = None
    bias: Tensor | None = None
    reason: str = ""


def measure(module: nn.Module, parts: Collection[str] = ()) -> Measured | None:
    """What the layer `module` does with random inputs; None if it is no norm of each position by itself.

    Its one or two parameters, all of one dimension, tell how many channels it has. `parts` are its children that work
    after the norm, and are left out. Gain and shift follow from the outputs and are checked on other inputs; each is
    the layer's own parameter where one holds it. Nothing of the layer changes.
    """
    own = dict(module.named_parameters(recurse=False))
    sizes = {tuple(parameter.shape) for parameter in own.values()} or {tuple(getattr(module, "normalized_shape", ()))}
    size = sizes.pop()
    if sizes or len(own) > 2 or len(size) != 1 or size[0] < 2 or set(dict(module.named_children())) - set(parts):
        return None
    if any(parameter.is_meta for parameter in own.values()):
        named = "norm" in type(module).__name__.lower()
        return Measured(reason="on the meta device nothing can be measured") if named else None
    probe = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    for part in parts:
        setattr(probe, part, nn.Identity())
    for name in HOOKS:
        vars(probe)[name].clear()
    with torch.random.fork_rng(devices=[]):
        found = next(filter(None, (_read(probe, *inputs) for inputs in _inputs(size[0]))), None)
    if found is None:
        return None
    if more := list(inspect.signature(module.forward).parameters)[1:]:
        return Measured(reason=f"its forward takes more than the input: {', '.join(more)}")
    gains = {name: parameter for name, parameter in own.items() if "bias" not in name}
    shifts = {name: parameter for name, parameter in own.items() if name not in gains}
    return found._replace(weight=_own(gains, found.weight), bias=_own(shifts, found.bias))


def _inputs(features: int) -> Iterator[tuple[str, Tensor]]:
    positions = 7 if features != 7 else 11  # so that no other axis is taken for the channels
    yield "last", torch.randn(2, positions, features)
    yield "first", torch.randn(2, features, positions, 5 if features != 5 else 3)


def _read(probe: nn.Module, channels: str, x: Tensor) -> Measured | None:
    """A norm of `x`, with a reason if it does more than that; None if it is no norm of such an input."""
    layer = _ChannelsLast(probe, channels)
    x = x if channels == "last" else x.movedim(1, -1)
    try:
        found = behaviour(layer, x)
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
        return None  # it does not take such an input
    if found is None:
        return None
    if not found.by_token:
        return Measured(reason="a norm of its own, over more than the channels of a position")
    eps = next((value for name, value in vars(probe).items() if "eps" in name and isinstance(value, float)), 0.0)

    def normalized(x: Tensor) -> Tensor:
        function = F.layer_norm if found.centres else F.rms_norm
        return function(x, x.shape[-1:], eps=eps)

    with torch.no_grad():
        shift = layer(torch.zeros_like(x)).flatten(0, -2)[0]
        xhat = normalized(x)
        gain = ((layer(x) - shift) * xhat).flatten(0, -2).sum(0) / xhat.square().flatten(0, -2).sum(0)
        x = 3 * torch.randn_like(x) + 1
        error = (layer(x) - (gain * normalized(x) + shift)).abs().max()
    if not error <= _TOLERANCE * (1 + gain.abs().max()):
        return Measured(reason="it does more with the normalized input than one gain and one shift per channel")
    kind = "layernorm" if found.centres else "rmsnorm"
    prefix = "" if channels == "last" else "channel_"
    return Measured(prefix + kind, len(gain), channels, gain, shift if found.shifts else None)


class _ChannelsLast(nn.Module):
    def __init__(self, layer: nn.Module, channels: str) -> None:
        super().__init__()
        self.layer, self.channels = layer, channels

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if self.channels == "last" else self.layer(x.movedim(-1, 1)).movedim(1, -1)


def _own(parameters: dict[str, nn.Parameter], values: Tensor | None) -> Tensor | None:
    """The parameter that holds `values`; where none does (Gemma's gain is 1 + weight), a new one like them."""
    if values is None or not parameters:
        return None
    for parameter in parameters.values():
        if torch.allclose(parameter.detach().cpu().float(), values, rtol=_TOLERANCE, atol=1e-4):
            return parameter
    like = next(iter(parameters.values()))
    return nn.Parameter(values.to(like.device, like.dtype), like.requires_grad)
