"""`normlab.convert(model, to="groupnorm")`: other norm layers in a network that was built with its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError, choices
from normlab.norms import KINDS, Norm, make_norm, spec_of
from normlab.norms.group import DEFAULT_GROUPS
from normlab.norms.shape_adapter import ShapeAdapter
from normlab.tools.hooks import HOOKS
from normlab.tools.norm_layers import FROZEN, SOURCES, NormLayer, find_norms, followers

Layers = str | Sequence[str] | Callable[[str, nn.Module], bool]
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Outcome:
    """What became of a norm layer: `after` is None where it was left, and `notes` then say why."""

    names: tuple[str, ...]
    before: str
    after: str | None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"{self.before} -> {self.after}" if self.after else f"{self.before} left"
        return f"{' = '.join(self.names) or '(the model itself)'}: {what}{''.join(f'; {note}' for note in self.notes)}"


@dataclass(frozen=True)
class Conversion:
    """`model`, which is the new layer if it was itself a norm, and what became of each of its norms."""

    model: nn.Module
    norms: tuple[Outcome, ...]

    @property
    def replaced(self) -> tuple[Outcome, ...]:
        return tuple(norm for norm in self.norms if norm.after)

    @property
    def left(self) -> tuple[Outcome, ...]:
        return tuple(norm for norm in self.norms if not norm.after)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{len(self.replaced)} of {len(self.norms)} norm layers replaced",
                *map(str, self.norms),
            ]
        )


def convert(
    model: nn.Module,
    to: str,
    from_: str | Iterable[str] | None = None,
    layers: Layers | None = None,
    keep_affine: bool = True,
    **options: object,
) -> Conversion:
    """Replace the norm layers of `model`, in place, by `make_norm(to, channels, layout, **options)`.

    from_: kinds that are replaced (see recognition.SOURCES); without it all but frozen batch
    norms, which have to be named, and those that are of kind `to` already and get no options.
    layers: a pattern of paths ("layer1.*"), several, or a function of path and module.

    keep_affine: gain and shift go along as the very parameters that they were, so that an
    optimizer built before goes on; where that cannot be, a note says so. eps does, where `to` has
    one and `options` do not; so do momentum, ghost batches and running statistics from one norm
    over the batch to another, and then the network computes what it did. Of its own kind a layer
    keeps all that `options` do not change. Device, dtype, mode and hooks are those of the layer
    before; parameters in half precision become float32, as in all norms here, and outputs keep
    the input's dtype. A groupnorm that was none before has 8 groups unless told, or the most
    below 8 that divide the channels and leave two in each. A layer that takes inputs of any shape
    becomes an ShapeAdapter, whose state dict has "norm." before names.

    Raises:
        NormLabError: an unknown kind, option or layer, and a model that cannot be changed any
            more (scripted, or in DistributedDataParallel).
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise NormLabError(
            "the model is a TorchScript module, whose layers are fixed: convert it before scripting."
        )
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise NormLabError(
            "the model is in DistributedDataParallel, which knows its parameters: convert it before."
        )
    valid = spec_of(to, **options).options
    if wrong := [name for name in options if name not in valid]:
        if not valid:
            raise NormLabError(
                f"unknown option {wrong[0]!r} of {to}: leave it out, for it has none."
            )
        raise choices(f"option of {to}", wrong[0], valid)
    asked = {from_} if isinstance(from_, str) else set(from_ or ())
    if unknown := asked - {*SOURCES, *KINDS}:
        raise choices("kind in from_", sorted(unknown)[0], dict.fromkeys((*SOURCES, *KINDS)))
    found = find_norms(model)
    encoders = [
        m
        for m in model.modules()
        if isinstance(m, nn.TransformerEncoder | nn.TransformerEncoderLayer)
    ]
    chosen = _chosen(found, layers)
    outcomes = []
    new: dict[nn.Module, nn.Module] = {}
    for layer in found:
        notes: list[str] = []
        reason = _reason_to_leave(layer, to, asked, chosen, bool(options))
        if not reason:
            try:
                new[layer.module] = _replacement(model, layer, to, keep_affine, options, notes)
                notes += _leave_fast_path(encoders, layer.module)
            except NormLabError as error:
                reason = str(error).rstrip(".")
        after = None if reason else _words(to, new[layer.module])
        outcomes.append(
            Outcome(layer.names, str(layer), after, (reason,) if reason else tuple(notes))
        )
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in new:
                parent._modules[name] = new[child]  # type: ignore[index]
    return Conversion(new.get(model, model), tuple(outcomes))


def _chosen(found: list[NormLayer], layers: Layers | None) -> set[nn.Module]:
    if layers is None:
        return {layer.module for layer in found}
    if callable(layers):
        return {
            layer.module
            for layer in found
            if any(layers(name, layer.module) for name in layer.names)
        }
    patterns = [layers] if isinstance(layers, str) else list(layers)
    names = [name for layer in found for name in layer.names]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            some = [*names[:8], "..."] if len(names) > 8 else names
            raise NormLabError(
                f"layers={pattern!r} matches no norm layer: choose among {', '.join(some) or 'none'}."
            )
    return {
        layer.module for layer in found for name in layer.names for p in patterns if fnmatchcase(name, p)
    }  # fmt: skip


def _reason_to_leave(
    layer: NormLayer, to: str, asked: set[str], chosen: set[nn.Module], options: bool
) -> str:
    if layer.module not in chosen:
        return "not among the layers asked for"
    if not layer.kind:
        return layer.reason
    if asked and layer.kind not in asked:
        return f"{layer.kind} is not among the kinds asked for"
    if layer.kind == FROZEN and not asked:
        return f"frozen: its statistics are constants; from_={FROZEN!r} replaces it"
    if layer.kind == to and not asked and not options:
        return f"it is a {to} already"
    if hasattr(layer.module, "parametrizations"):
        return "its parameters are reparametrised"
    return ""


def _replacement(
    model: nn.Module,
    layer: NormLayer,
    to: str,
    keep_affine: bool,
    options: dict[str, Any],
    notes: list[str],
) -> nn.Module:
    """The new layer; `notes` gets what it does not carry on. Raises NormLabError if it cannot be built."""
    old = layer.module
    layout = {"first": "NCHW", "last": "NTC"}.get(layer.channels, layer.channels)
    new = make_norm(to, layer.features, layout, **_options(layer, to, options, notes))
    if layout == "NTC" and not spec_of(to, **options).causal_safe:
        notes.append("over positions too: not for a causal model")
    _place(new, model, layer)
    if layer.kind == to:  # a threshold, the slope of a tanh; None where it was taken out
        for name in (new._parameters.keys() & old._parameters.keys()) - {
            "weight",
            "bias",
            *options,
        }:
            new._parameters[name] = old._parameters[name]
    else:
        if hasattr(new, "take_activation"):
            notes.append(f"{to} ends with an activation of its own, before whatever follows")
        if getattr(old, "tau", None) is not None:
            notes.append("its threshold dropped, which was an activation")
    if keep_affine:
        _carry_affine(new, layer, notes)
    if layer.kept_statistics:
        fresh = getattr(new, "running_mean", None)
        if _is_over_batch(layer) and fresh is not None and fresh.shape == old.running_mean.shape:
            for name in _BUFFERS:
                if getattr(old, name, None) is not None:
                    getattr(new, name).copy_(getattr(old, name))
        else:
            notes.append("running statistics dropped")
    parts = followers(old)
    if layer.channels in ("first", "last") or parts:
        new = ShapeAdapter(new, "last" if layout == "NTC" else "first", parts)
    new.training = old.training
    (new.norm if isinstance(new, ShapeAdapter) else new).train(old.training)
    for name in HOOKS & set(vars(old)):
        new.__dict__[name] = vars(old)[
            name
        ]  # the very dictionaries: handles that remove hooks hold on to them
    new.__dict__["_is_full_backward_hook"] = old._is_full_backward_hook
    return new


def _is_over_batch(layer: NormLayer) -> bool:
    return layer.is_batch_norm or layer.kind == FROZEN


def _options(
    layer: NormLayer, to: str, options: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    """`options`, and those that the layer before had and `to` takes: all from its own kind, else those that mean it."""
    valid = spec_of(to, **options).options
    had = {
        name: value for name, value in vars(layer.module).items() if name in valid and name != "eps"
    }
    if layer.kind != to:
        had = {
            name: had[name]
            for name in ("momentum", "ghost_batch")
            if _is_over_batch(layer) and name in had
        }
    if "channels_per_group" in options:
        had.pop("num_groups", None)
    eps = next(
        (v for k, v in vars(layer.module).items() if "eps" in k and isinstance(v, float) and v > 0),
        None,
    )
    if eps is not None and "eps" in valid:
        had["eps"] = eps
    if _is_over_batch(layer) and not layer.kept_statistics and "statistics" in valid:
        had["statistics"] = "batch"  # what it does at evaluation
    given = {**had, **options}
    if to == "groupnorm" and not {"num_groups", "channels_per_group"} & set(given):
        channels = layer.features
        largest = min(
            DEFAULT_GROUPS, max(channels // 2, 1)
        )  # one channel alone has no statistics in (N, C)
        given["num_groups"] = next(g for g in range(largest, 0, -1) if channels % g == 0)
        if given["num_groups"] < DEFAULT_GROUPS:
            why = (
                f"do not divide {channels} channels"
                if channels % DEFAULT_GROUPS
                else "would have one channel each"
            )
            notes.append(f"{DEFAULT_GROUPS} groups {why}")
    return given


def _place(new: nn.Module, model: nn.Module, layer: NormLayer) -> None:
    """Device and dtype of the layer before; where it has no tensors, of the nearest module around it that has some."""
    path = layer.names[0].split(".")
    for depth in range(len(path), -1, -1):
        around = model.get_submodule(".".join(path[:depth]))
        tensors = chain(around.parameters(), around.buffers())
        like = next((tensor for tensor in tensors if tensor.is_floating_point()), None)
        if like is not None:
            new.to(like.device, like.dtype)
            return


def _carry_affine(new: nn.Module, layer: NormLayer, notes: list[str]) -> None:
    before = {id(parameter) for parameter in layer.module.parameters()}
    for name, what in (("weight", "gamma"), ("bias", "beta")):
        old, fresh = getattr(layer, name), getattr(new, name, None)
        if old is None:
            if isinstance(fresh, nn.Parameter):
                notes.append(f"{what} is new, and learned")
            continue
        if fresh is None:
            was_zero = name == "bias" and not old.is_meta and not old.detach().any()
            notes.append(
                f"{what} dropped, there is none in it" + (" (it was 0)" if was_zero else "")
            )
            continue
        if (
            isinstance(old, nn.Parameter)
            and isinstance(fresh, nn.Parameter)
            and old.dtype == fresh.dtype
        ):
            setattr(new, name, old)
        else:
            with torch.no_grad():
                fresh.copy_(old)
            fresh.requires_grad_(
                fresh.requires_grad and (old.requires_grad or layer.kind == FROZEN)
            )
        carried = getattr(new, name)
        if carried.requires_grad and id(carried) not in before:
            notes.append(
                f"{what} keeps its values in a new parameter, which an optimizer built before does not have"
            )


def _leave_fast_path(encoders: Sequence[Any], norm: nn.Module) -> Iterator[str]:
    """Torch's encoders compute in one kernel at evaluation, LayerNorm included: no more in those that had `norm`."""
    for encoder in encoders:
        if isinstance(encoder, nn.TransformerEncoderLayer) and norm in encoder.children():
            encoder.activation_relu_or_gelu = (
                0  # read for nothing else than whether the kernel may be used
            )
        nested = isinstance(encoder, nn.TransformerEncoder) and getattr(
            encoder, "use_nested_tensor", False
        )
        if nested and norm in encoder.layers.modules():
            encoder.use_nested_tensor = False  # only that kernel takes those
            yield "its encoder takes padding as a mask at evaluation, no longer as nested tensors"


def _words(to: str, new: nn.Module) -> str:
    norm: Any = new.norm if isinstance(new, ShapeAdapter) else new
    groups = f", {norm.num_groups} groups" if hasattr(norm, "num_groups") else ""
    layout = norm.layout if isinstance(norm, Norm) else ""
    return f"{to}({norm.num_features}{groups}, {layout})"
