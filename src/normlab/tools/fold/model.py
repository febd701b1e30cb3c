"""`normlab.fold(model)`: batch norms with fixed statistics become part of the layers beside them.

With running mean m and variance v a batch norm computes s x + t, s = gamma / sqrt(v + eps), t = beta - m s (Ioffe &
Szegedy 2015, section 3.1, algorithm 2). A layer W before it takes both over exactly: W' = s W, b' = s b + t. A layer
after it does so where it reads nothing but what the norm gave: a convolution that pads with zeros does not.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

from normlab.tools.fold.batch_norms import Affine, Kept, fixed_affine, is_batch_norm
from normlab.tools.fold.call_graph import CallGraph


@dataclass(frozen=True)
class Fate:
    """What became of one batch norm: the layers that took it over, or the reason why it stays."""

    name: str
    into: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        return (
            f"{self.name}: into {', '.join(self.into)}"
            if self.into
            else f"{self.name} stays: {self.reason}"
        )


@dataclass(frozen=True)
class Folding:
    """The folded `model`, of the same class as the one given, and the fate of every batch norm."""

    model: nn.Module
    batch_norms: tuple[Fate, ...]

    @property
    def folded(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.batch_norms if fate.into)

    @property
    def kept(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.batch_norms if not fate.into)

    def __str__(self) -> str:
        lines = [
            f"{len(self.folded)} of {len(self.batch_norms)} batch norms folded",
            *map(str, self.batch_norms),
        ]
        return "\n".join(lines)


class OnlyDims(nn.Module):
    """In a folded norm's place: gives on inputs of `dims` dimensions, where folding is exact, and refuses others.

    `nn.BatchNorm1d` reads channels from dimension 1, a linear layer writes them to the last one: the same for (N, C).
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != self.dims:
            raise ValueError(
                "this layer has a batch norm folded into it, which is exact for batches (N, C, ...) only"
            )
        return x


def fold(model: nn.Module) -> Folding:
    """A copy of `model` in which every batch norm that can be is folded into the layer before it, or those after it.

    Batch norms are torch's, ours, timm's with their activation, and whatever else has running statistics and only
    scales and shifts by them in the mode that it is in; layers are linear ones, convolutions and transposed
    convolutions. The results are equal, up to rounding, for everything that `model.forward` returns. What torch.fx
    cannot trace is left as it is, and so is each norm that cannot be folded exactly, with its reason.

    The copy is for inference: its layers have the statistics in their weights, and training it is another training.
    """
    calls = CallGraph(copy.deepcopy(model))
    folded = copy.deepcopy(model)
    modules = dict(folded.named_modules())
    fates: dict[str, Fate] = {}
    for name in sorted(
        filter(lambda name: is_batch_norm(modules[name]), modules), key=calls.position
    ):
        try:
            fates[name] = Fate(name, _fold(name, modules, calls))
        except Kept as kept:
            fates[name] = Fate(name, reason=str(kept))
    functions = (
        Fate(name, reason="it is a call of F.batch_norm and no module") for name in calls.functions
    )
    return Folding(folded, (*(fates[name] for name in modules if name in fates), *functions))


def _fold(name: str, modules: dict[str, nn.Module], calls: CallGraph) -> tuple[str, ...]:
    """Fold one norm; the names of the layers that took it over. Raises Kept before anything is changed."""
    norm = modules[name]
    node = calls.only_call(name)
    affine = fixed_affine(norm)
    try:
        into: tuple[str, ...] = (calls.layer_before(node),)
        dims = _fitting(modules[into[0]], affine, "out")
        _scale_outputs(modules[into[0]], affine)
    except Kept as before:
        try:
            if affine.tail is not None:
                raise Kept("an activation of its own follows")
            into = calls.layers_after(node)
            dims = max(_fitting(modules[layer], affine, "in") for layer in into)
        except Kept as after:
            raise Kept(f"{before}; {after}") from None
        for layer in into:
            _scale_inputs(modules[layer], affine)
    instead = affine.tail or (OnlyDims(dims) if len(affine.dims) > 1 else nn.Identity())
    for module in modules.values():
        for child, value in module._modules.items():
            if value is norm:
                module._modules[child] = instead.train(norm.training)
    if affine.tail is None:
        calls.gone.add(node)
    return into


def _fitting(layer: Any, affine: Affine, side: str) -> int:
    """The number of dimensions at which the norm's channels are the layer's. Raises Kept if there is none, or for a
    layer that reads more than the norm gave."""
    if isinstance(layer, _ConvNd):
        if side == "in" and isinstance(layer, _ConvTransposeNd):
            raise Kept(
                "it stands before a transposed convolution, whose outputs near edges and gaps sum fewer inputs"
            )
        if (
            side == "in"
            and layer.padding_mode == "zeros"
            and any(layer._reversed_padding_repeated_twice)
        ):
            raise Kept(
                "it stands before a convolution that pads with zeros, which the norm would have shifted"
            )
        dims, fits = layer.weight.ndim, not affine.channels_last
        channels = layer.out_channels if side == "out" else layer.in_channels
    else:
        dims, fits = affine.dims[0] if affine.channels_last else 2, True
        channels = layer.out_features if side == "out" else layer.in_features
    if not fits or dims not in affine.dims or channels != len(affine.scale):
        raise Kept(f"its channels are not those of the {type(layer).__name__} beside it")
    return dims


@torch.no_grad()
def _scale_outputs(layer: Any, affine: Affine) -> None:
    """W x + b becomes scale (W x + b) + shift."""
    weight = _weight(layer)
    after = [1] * (weight.ndim - 2)
    if isinstance(layer, _ConvTransposeNd):  # (in, out / groups, ...), groups along `in`
        grouped = weight.unflatten(0, (layer.groups, -1))
        new = (grouped * affine.scale.view(layer.groups, 1, -1, *after)).flatten(0, 1)
    else:
        new = weight * affine.scale.view(-1, 1, *after)
    bias = 0 if layer.bias is None else layer.bias.detach().cpu().double() * affine.scale
    _set(layer, new, bias + affine.shift)


@torch.no_grad()
def _scale_inputs(layer: Any, affine: Affine) -> None:
    """W x + b becomes W (scale x + shift) + b."""
    weight = _weight(layer)
    groups = layer.groups if isinstance(layer, _ConvNd) else 1
    grouped = weight.unflatten(0, (groups, -1))  # (groups, out / groups, in / groups, ...)
    along = (groups, 1, -1, *[1] * (weight.ndim - 2))
    bias = 0 if layer.bias is None else layer.bias.detach().cpu().double()
    shift = (grouped * affine.shift.view(along)).flatten(2).sum(2).flatten()
    _set(layer, (grouped * affine.scale.view(along)).flatten(0, 1), bias + shift)


def _weight(layer: Any) -> Tensor:
    """The layer's weight in float64 on the CPU; a reparametrised one becomes a plain one first."""
    if parametrize.is_parametrized(layer):
        # Not by remove_parametrizations, which deletes `weight` from a class that the model given has, too.
        tensors = {name: getattr(layer, name) for name in ("weight", "bias")}
        del layer._modules["parametrizations"]
        layer.__class__ = parametrize.type_before_parametrizations(layer)
        for name, tensor in tensors.items():
            layer.register_parameter(
                name, None if tensor is None else nn.Parameter(tensor.detach())
            )
    return layer.weight.detach().cpu().double()


def _set(layer: Any, weight: Tensor, bias: Tensor) -> None:
    old = layer.weight
    layer.weight = nn.Parameter(torch.empty_like(old).copy_(weight), old.requires_grad)
    layer.bias = nn.Parameter(bias.to(old.device, old.dtype), old.requires_grad)
