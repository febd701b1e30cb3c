"""Norms of each position by itself, of any class, known by what they do with random inputs."""

import copy
import inspect
from collections.abc import Collection, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.tools.architectures import behaviour
from normlab.tools.model_calls import in_words

HOOKS = {  # on a module's calls
    *(
        "_forward_hooks",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks",
    ),
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
    own = list(module.parameters(recurse=False))
    stated = getattr(module, "normalized_shape", ())
    sizes = {tuple(parameter.shape) for parameter in own} or {
        (stated,) if isinstance(stated, int) else tuple(stated)
    }
    size = sizes.pop()
    if (
        sizes
        or len(own) > 2
        or len(size) != 1
        or size[0] < 2
        or set(dict(module.named_children())) - set(parts)
    ):
        return None
    named = "norm" in type(module).__name__.lower()
    if any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()]):
        return Measured(reason="on the meta device nothing can be measured") if named else None
    raised = []
    with torch.random.fork_rng(devices=[]):
        for channels, x in _inputs(size[0]):
            try:
                found = _read(module, parts, channels, x)
            except Exception as error:  # whatever a class of somebody else's raises, mostly for it takes no such input
                raised.append(in_words(error))
                continue
            if found is not None:
                return found
    if named and len(raised) == 2:
        return Measured(reason=f"called with random inputs it raises {raised[0]}")
    return None


def _inputs(features: int) -> Iterator[tuple[str, Tensor]]:
    positions = 7 if features != 7 else 11  # so that no other axis is taken for the channels
    yield "last", torch.randn(2, positions, features)
    yield "first", torch.randn(2, features, positions, 5 if features != 5 else 3)


@torch.no_grad()
def _read(module: nn.Module, parts: Collection[str], channels: str, x: Tensor) -> Measured | None:
    """A norm of `x`, with a reason if it does more than that; None if it is no norm of such an input."""
    probe = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    for part in parts:
        setattr(probe, part, nn.Identity())
    for name in HOOKS & set(vars(probe)):
        vars(probe)[name].clear()
    layer = _ChannelsLast(probe, channels)
    x = x if channels == "last" else x.movedim(1, -1)
    found = behaviour(layer, x)
    if found is None:
        return None
    if more := list(inspect.signature(module.forward).parameters)[1:]:
        return Measured(reason=f"its forward takes more than the input: {', '.join(more)}")
    if not found.by_token:
        return Measured(reason="a norm of its own, over more than the channels of a position")
    eps = next(
        (
            value
            for name, value in vars(probe).items()
            if "eps" in name and isinstance(value, float)
        ),
        0.0,
    )
    now = _gain_and_shift(layer, x, found.centres, eps)
    # Which parameter is the gain and which the shift cannot be seen by their values now, which may be alike: drawn
    # anew they are not.
    for parameter in probe.parameters():
        parameter.uniform_(0.5, 1.5)
    drawn = _gain_and_shift(layer, x, found.centres, eps)
    if now is None or drawn is None:
        return Measured(
            reason="it does more with the normalized input than one gain and one shift per channel"
        )
    kind = ("" if channels == "last" else "channel_") + (
        "layernorm" if found.centres else "rmsnorm"
    )
    weight, bias = (_own(module, probe, *values) for values in zip(now, drawn, strict=True))
    return Measured(kind, x.shape[-1], channels, weight, bias if found.shifts else None)


def _gain_and_shift(
    layer: nn.Module, x: Tensor, centres: bool, eps: float
) -> tuple[Tensor, Tensor] | None:
    """(C,) each; None if they do not make the outputs of other inputs."""

    def normalized(x: Tensor) -> Tensor:
        return (F.layer_norm if centres else F.rms_norm)(x, x.shape[-1:], eps=eps)

    shift = layer(torch.zeros_like(x)).flatten(0, -2)[0]
    xhat = normalized(x)
    gain = ((layer(x) - shift) * xhat).flatten(0, -2).sum(0) / xhat.square().flatten(0, -2).sum(0)
    x = 3 * torch.randn_like(x) + 1
    error = (layer(x) - (gain * normalized(x) + shift)).abs().max()
    return (gain, shift) if error <= _TOLERANCE * (1 + gain.abs().max()) else None


class _ChannelsLast(nn.Module):
    def __init__(self, layer: nn.Module, channels: str) -> None:
        super().__init__()
        self.layer, self.channels = layer, channels

    def forward(self, x: Tensor) -> Tensor:
        return (
            self.layer(x)
            if self.channels == "last"
            else self.layer(x.movedim(-1, 1)).movedim(1, -1)
        )


def _own(module: nn.Module, probe: nn.Module, values: Tensor, drawn: Tensor) -> Tensor | None:
    """The parameter of `module` that holds `values`, as the one of `probe` now holds `drawn`.

    Where none does (Gemma's gain is 1 + weight), a new one like the others. None for a layer without parameters.
    """
    for name, parameter in probe.named_parameters(recurse=False):
        if torch.allclose(parameter, drawn, rtol=_TOLERANCE, atol=1e-4):
            return module.get_parameter(name)
    like = next(module.parameters(recurse=False), None)
    return (
        None
        if like is None
        else nn.Parameter(values.to(like.device, like.dtype), like.requires_grad)
    )
