"""The norm that takes the place of another one, and what of that it carries on."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from normlab.norms import Norm, make_norm, spec_of
from normlab.norms.group import DEFAULT_GROUPS
from normlab.norms.shape_adapter import ShapeAdapter
from normlab.norms.spec import LAYOUTS
from normlab.tools.convert.encoders import leave_fast_path
from normlab.tools.convert.unbatched import UnbatchedAdapter
from normlab.tools.hooks import HOOKS
from normlab.tools.norm_layers import FROZEN, NormLayer, followers

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Replacement:
    """The new layer of kind `to`, the norm in it, which may be the same, and notes.

    The notes say what it does not carry on.
    """

    to: str
    layer: nn.Module
    norm: nn.Module
    notes: tuple[str, ...]

    def __str__(self) -> str:
        norm: Any = self.norm
        groups = f", {norm.num_groups} groups" if hasattr(norm, "num_groups") else ""
        layout = norm.layout if isinstance(norm, Norm) else ""
        return f"{self.to}({norm.num_features}{groups}, {layout})"


def replacement(
    model: nn.Module,
    old: NormLayer,
    to: str,
    options: Mapping[str, object],
    *,
    keep_affine: bool,
) -> Replacement:
    """A norm of kind `to` for the place of `old` in `model`.

    Raises:
        NormLabError: it cannot be built with these options, or not for these channels.
    """
    given = {**_inherited_options(old, to, options), **options}
    notes = []
    if to == "groupnorm" and not {"num_groups", "channels_per_group"} & given.keys():
        given["num_groups"] = groups = _default_groups(old.features)
        notes += _notes_on_groups(groups, old.features)
    # (N, C, *) and (*, C): the adapter flattens positions to what these layouts have.
    layout = {"first": "NCHW", "last": "NTC"}.get(old.channels, old.channels)
    new = make_norm(to, old.features, layout, **given)
    # Over (N, T, C) such norms mix positions, whatever the old one did.
    if layout == "NTC" and not spec_of(to, **options).causal_safe:
        notes.append("over positions too: not for a causal model")
    notes += _notes_on_processes(new, to)
    # Before the parameters, which go along as they are only where dtypes agree.
    _place(new, model, old)
    notes += _carry_parameters(new, old, to, options)
    if keep_affine:
        notes += _carry_affine(new, old)
    notes += _carry_statistics(new, old, to)
    notes += leave_fast_path(model, old.module)
    return Replacement(to, _in_place(new, old, to, layout), new, tuple(notes))


def _is_over_batch(layer: NormLayer) -> bool:
    return layer.is_batch_norm or layer.kind == FROZEN


def _inherited_options(old: NormLayer, to: str, options: Mapping[str, object]) -> dict[str, Any]:
    """The options that `old` has and that mean the same in `to`: all of them in its own kind."""
    valid = spec_of(to, **options).options
    had = vars(old.module)
    inherited = {name: had[name] for name in had if name in valid and name != "eps"}
    if old.kind == to and old.weight is None and "affine" in valid:
        inherited["affine"] = False
    elif old.kind == to and old.bias is None and "bias" in valid:
        inherited["bias"] = False
    if old.kind != to:
        same = ("momentum", "ghost_batch") if _is_over_batch(old) else ()
        inherited = {name: inherited[name] for name in same if name in inherited}
    # It says the same as num_groups in another way, and only one may be given.
    if "channels_per_group" in options:
        inherited.pop("num_groups", None)
    # Norms here need a positive one.
    if old.eps and "eps" in valid:
        inherited["eps"] = old.eps
    if _is_over_batch(old) and not old.kept_statistics and "statistics" in valid:
        inherited["statistics"] = "batch"  # what it does at evaluation
    return inherited


def _default_groups(channels: int) -> int:
    """The most groups up to 8 that divide the channels and leave two in each.

    One channel alone has no statistics in (N, C).
    """
    groups = min(DEFAULT_GROUPS, max(channels // 2, 1))
    # 1 divides all, so that this ends.
    while channels % groups:
        groups -= 1
    return groups


def _notes_on_groups(groups: int, channels: int) -> list[str]:
    if groups == DEFAULT_GROUPS:
        return []
    if channels % DEFAULT_GROUPS:
        return [f"{DEFAULT_GROUPS} groups do not divide {channels} channels"]
    return [f"{DEFAULT_GROUPS} groups would have one channel each"]


def _notes_on_processes(new: Any, to: str) -> list[str]:
    grouped = distributed.is_available() and distributed.is_initialized()
    if to != "syncbatchnorm" or grouped or getattr(new, "fallback", False):
        return []
    return [
        "it trains in a process group alone: call torch.distributed.init_process_group() in each "
        "process, or convert with fallback=True for plain batchnorm where there is one process"
    ]


def _place(new: nn.Module, model: nn.Module, old: NormLayer) -> None:
    """Device and dtype of `old`, or of the nearest module around it that has tensors."""
    # From the layer outwards: a norm without tensors belongs where the block around it is.
    path = old.names[0].split(".")
    for depth in range(len(path), -1, -1):
        around = model.get_submodule(".".join(path[:depth]))
        for tensor in chain(around.parameters(), around.buffers()):
            if tensor.is_floating_point():
                new.to(tensor.device, tensor.dtype)
                return


def _carry_parameters(
    new: nn.Module, old: NormLayer, to: str, options: Mapping[str, object]
) -> list[str]:
    """Gives `new` what `old` has beside gain and shift; returns what it does not get."""
    if old.kind == to:
        # A threshold, the slope of a tanh; None where it was taken out.
        names = new._parameters.keys() & old.module._parameters.keys()
        for name in names - {"weight", "bias", *options}:
            new._parameters[name] = old.module._parameters[name]
        return []
    notes = []
    if hasattr(new, "take_activation"):
        notes.append(f"{to} ends with an activation of its own, before whatever follows")
    if getattr(old.module, "tau", None) is not None:
        notes.append("its threshold dropped, which was an activation")
    return notes


def _carry_affine(new: nn.Module, old: NormLayer) -> list[str]:
    """Gives `new` the gain and shift of `old`; returns what became of them, if not the usual."""
    return [
        *_carry_parameter(new, "weight", "gamma", old, old.weight),
        *_carry_parameter(new, "bias", "beta", old, old.bias),
    ]


def _carry_parameter(
    new: nn.Module, name: str, word: str, old: NormLayer, value: Tensor | None
) -> list[str]:
    """Gives `new` the `value` as its parameter `name`; `word` is what notes call it."""
    fresh = getattr(new, name, None)
    if value is None:
        learned = isinstance(fresh, nn.Parameter)
        return [f"{word} is new, and learned"] if learned else []
    if fresh is None:
        was_zero = name == "bias" and not value.is_meta and not value.detach().any()
        return [f"{word} dropped, there is none in it" + (" (it was 0)" if was_zero else "")]
    # The parameter itself, if it can be: an optimizer knows it by identity.
    both = isinstance(value, nn.Parameter) and isinstance(fresh, nn.Parameter)
    if both and value.dtype == fresh.dtype:
        setattr(new, name, value)
    else:
        with torch.no_grad():
            fresh.copy_(value)
        # What a frozen norm has as constants is learned in the norm that takes its place.
        learned = value.requires_grad or old.kind == FROZEN
        fresh.requires_grad_(fresh.requires_grad and learned)
    carried = getattr(new, name)
    # A gain that was read off outputs, as Gemma's, is a new parameter though `value` is carried.
    own = any(parameter is carried for parameter in old.module.parameters())
    if carried.requires_grad and not own:
        return [
            f"{word} keeps its values in a new parameter, "
            "which an optimizer built before does not have"
        ]
    return []


def _carry_statistics(new: nn.Module, old: NormLayer, to: str) -> list[str]:
    """Gives `new` the running statistics of `old`, if both have such; a note if they are lost."""
    if not old.kept_statistics:
        return []
    fresh = getattr(new, "running_mean", None)
    # Instance norms may keep some as well, which mean another thing in a batch norm.
    same = _is_over_batch(old) or old.kind == to
    if not same or fresh is None or fresh.shape != old.module.running_mean.shape:
        return ["running statistics dropped"]
    for name in _BUFFERS:
        if getattr(old.module, name, None) is not None:
            getattr(new, name).copy_(getattr(old.module, name))
    return []


def _in_place(new: nn.Module, old: NormLayer, to: str, layout: str) -> nn.Module:
    """`new` with the mode and the hooks of `old`, in an adapter where that takes any shape."""
    layer = new
    after = followers(old.module)
    if old.channels in ("first", "last") or after:
        layer = ShapeAdapter(new, "last" if layout == "NTC" else "first", after)
    elif isinstance(old.module, _InstanceNorm) and old.kind != to:
        # Of the same kind, names in state_dicts are to stay.
        layer = UnbatchedAdapter(new, LAYOUTS[layout])
    layer.training = old.module.training  # not those of the followers, which stay as they are
    new.train(old.module.training)
    for name in HOOKS & set(vars(old.module)):
        # The very dictionaries: handles that remove hooks hold on to them.
        layer.__dict__[name] = vars(old.module)[name]
    # Beside the hooks, torch keeps here which of its two sorts of backward hooks they are.
    layer.__dict__["_is_full_backward_hook"] = old.module._is_full_backward_hook
    return layer
