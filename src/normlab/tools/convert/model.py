"""`normlab.convert(model, to="groupnorm")`: which layers are replaced, and by what."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn

from normlab.errors import NormLabError, choices
from normlab.norms import KINDS, spec_of
from normlab.tools.convert.outcome import Conversion, Outcome
from normlab.tools.convert.replacement import Replacement, replacement
from normlab.tools.norm_layers import FROZEN, SOURCES, NormLayer, find_norms

Layers = str | Sequence[str] | Callable[[str, nn.Module], bool]


def convert(
    model: nn.Module,
    to: str,
    from_: str | Iterable[str] | None = None,
    layers: Layers | None = None,
    *,
    keep_affine: bool = True,
    **options: object,
) -> Conversion:
    """Replace the norms of `model`, in place, by `make_norm(to, channels, layout, **options)`.

    Device, dtype, mode and hooks are those of the layer before; parameters in half precision
    become float32, as in all norms here, and outputs keep the input's dtype. eps goes along where
    `to` has one and `options` do not give it. So do momentum, ghost batches and running
    statistics from one norm over the batch to another, and then the network computes what it did.
    Of its own kind a layer keeps all that `options` do not change. A groupnorm that was none
    before has 8 groups unless told, or the most below 8 that divide the channels and leave two in
    each. A layer that takes inputs of any shape becomes a ShapeAdapter, whose state dict has
    "norm." before names.

    Args:
        from_: kinds that are replaced (see norm_layers.SOURCES). Without it all but frozen batch
            norms, which have to be named, and those of kind `to` where no options are given.
        layers: a pattern of paths ("layer1.*"), several, or a function of path and module.
        keep_affine: gain and shift go along as the very parameters that they were, so that an
            optimizer built before goes on; where that cannot be, a note says so.

    Raises:
        NormLabError: an unknown kind, option or layer, and a model that cannot be changed any more
            (scripted, or in DistributedDataParallel).
    """
    _refuse_fixed(model)
    _check_options(to, options)
    kinds = _source_kinds(from_)
    norms = find_norms(model)
    chosen = _chosen(norms, layers)
    outcomes = []
    new: dict[nn.Module, Replacement] = {}
    for norm in norms:
        reason = "not among the layers asked for"
        if norm.module in chosen:
            reason = _reason_to_leave(norm, to, kinds, has_options=bool(options))
        if not reason:
            try:
                new[norm.module] = replacement(model, norm, to, options, keep_affine=keep_affine)
            except NormLabError as error:
                reason = str(error).rstrip(".")
        outcomes.append(_outcome(norm, new.get(norm.module), reason))
    _put_in(model, new)
    return Conversion(new[model].layer if model in new else model, tuple(outcomes))


def _outcome(norm: NormLayer, done: Replacement | None, reason: str) -> Outcome:
    """`done`: what replaces the norm; None for the `reason`."""
    layer_class = type(norm.module).__name__
    if done is None:
        return Outcome(norm.names, layer_class, str(norm), None, (reason,))
    return Outcome(norm.names, layer_class, str(norm), str(done), done.notes)


def _put_in(model: nn.Module, new: dict[nn.Module, Replacement]) -> None:
    """Puts the new layers in the places of the old ones, by which they are named."""
    # By parents and not by paths: a shared norm has several, and gets one new layer in all of them.
    for parent in list(model.modules()):
        # `named_children` would pass over the second name of a shared child.
        for name, child in parent._modules.items():
            if child is not None and child in new:
                parent._modules[name] = new[child].layer


def _refuse_fixed(model: nn.Module) -> None:
    """Raises NormLabError for a model whose layers can no longer be replaced."""
    if isinstance(model, torch.jit.ScriptModule):
        raise NormLabError(
            "the model is a TorchScript module, whose layers are fixed: "
            "convert it before scripting."
        )
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise NormLabError(
            "the model is in DistributedDataParallel, which knows its parameters: "
            "convert it before."
        )


def _check_options(to: str, options: dict[str, object]) -> None:
    """Raises NormLabError for an unknown kind, and for an option that it does not have."""
    valid = spec_of(to, **options).options
    for name in options:
        if name not in valid and valid:
            raise choices(f"option of {to}", name, valid)
        if name not in valid:
            raise NormLabError(f"unknown option {name!r} of {to}: leave it out, for it has none.")


def _source_kinds(from_: str | Iterable[str] | None) -> set[str]:
    """`from_` as a set; raises NormLabError for a kind that is not known."""
    kinds = {from_} if isinstance(from_, str) else set(from_ or ())
    known = dict.fromkeys((*SOURCES, *KINDS))
    if unknown := sorted(kinds - set(known)):
        raise choices("kind in from_", unknown[0], known)
    return kinds


def _chosen(norms: list[NormLayer], layers: Layers | None) -> set[nn.Module]:
    """The modules that `layers` names; raises NormLabError for a pattern that matches none."""
    if layers is None:
        return {norm.module for norm in norms}
    chosen: set[nn.Module] = set()
    if callable(layers):
        for norm in norms:
            if any(layers(name, norm.module) for name in norm.names):
                chosen.add(norm.module)
        return chosen
    for pattern in [layers] if isinstance(layers, str) else layers:
        matched = [norm for norm in norms if _matches(norm, pattern)]
        if not matched:
            raise _no_match(pattern, norms)
        chosen.update(norm.module for norm in matched)
    return chosen


def _matches(norm: NormLayer, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in norm.names)


def _no_match(pattern: str, norms: list[NormLayer]) -> NormLabError:
    names: list[str] = []
    for norm in norms:
        names += norm.names
    shown = [*names[:8], "..."] if len(names) > 8 else names
    valid = ", ".join(shown) or "none"
    return NormLabError(f"layers={pattern!r} matches no norm layer: choose among {valid}.")


def _reason_to_leave(norm: NormLayer, to: str, kinds: set[str], *, has_options: bool) -> str:
    """Why a layer that was chosen stays what it is; "" if it is replaced."""
    if not norm.kind:
        return norm.reason
    if kinds and norm.kind not in kinds:
        return f"{norm.kind} is not among the kinds asked for"
    if norm.kind == FROZEN and not kinds:
        return f"frozen: its statistics are constants; from_={FROZEN!r} replaces it"
    # With options, or where its kind is asked for, one of its own kind replaces it.
    if norm.kind == to and not kinds and not has_options:
        return f"it is a {to} already"
    if hasattr(norm.module, "parametrizations"):
        return "its parameters are reparametrised"
    return ""
