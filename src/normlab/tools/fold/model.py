"""`normlab.fold(model)`: batch norms with fixed statistics go into the layers beside them."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from normlab.tools.fold.batch_norms import Affine, Kept, fixed_affine, is_batch_norm
from normlab.tools.fold.places import Places
from normlab.tools.fold.weights import Weighted, scale_inputs, scale_outputs
from normlab.tools.replica import replica


@dataclass(frozen=True)
class Fate:
    """What became of one batch norm: the layers that took it over, or the reason why it stays."""

    name: str
    into: tuple[str, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        if self.into:
            return f"{self.name}: into {', '.join(self.into)}"
        return f"{self.name} stays: {self.reason}"


@dataclass(frozen=True)
class Folding:
    """The folded `model`, of the same class as the one given, and the fate of every batch norm.

    notes: what could not be traced, why, and what can be done about it.
    """

    model: nn.Module
    batch_norms: tuple[Fate, ...]
    notes: tuple[str, ...] = ()

    @property
    def folded(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.batch_norms if fate.into)

    @property
    def kept(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.batch_norms if not fate.into)

    def __str__(self) -> str:
        first = f"{len(self.folded)} of {len(self.batch_norms)} batch norms folded"
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([first, *map(str, self.batch_norms), *notes])


class OnlyDims(nn.Module):
    """In a folded norm's place: gives on inputs of `dims` dimensions, and refuses others.

    Folding is exact for those alone: `nn.BatchNorm1d` reads channels from dimension 1, a linear
    layer writes them to the last one, which is the same for (N, C).

    Raises:
        ValueError: an input of another number of dimensions.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != self.dims:
            raise ValueError(
                "this layer has a batch norm folded into it, "
                "which is exact for batches (N, C, ...) only"
            )
        return x


def fold(model: nn.Module) -> Folding:
    """A copy of `model` with its batch norms folded into the layers before or after them.

    With running mean m and variance v a batch norm computes s x + t, s = gamma / sqrt(v + eps)
    and t = beta - m s. A layer W x + b before it takes both over exactly: W' = s W, b' = s b + t.
    A layer after it does so where it reads nothing but what the norm gave: a convolution that
    pads with zeros does not.

    Batch norms are torch's, ours, timm's with their activation, and whatever else has running
    statistics and only scales and shifts by them in the mode that it is in; layers are linear
    ones, convolutions and transposed convolutions. The results are equal, up to rounding, for
    everything that `model.forward` returns. Where torch.fx cannot trace a module, the modules that
    it calls are folded each by itself, if the source of its forward shows that it calls them as a
    whole and uses nothing else of them. A norm that cannot be folded exactly is left as it is,
    with its reason.

    The copy is for inference: its layers have the statistics in their weights, and training it is
    another training.

    Raises:
        NormLabError: the model keeps something that cannot be copied.

    Source: Ioffe & Szegedy 2015, Batch Normalization, section 3.1, algorithm 2.
    """
    # Tracing leaves its traces in a model, and folding changes weights: a copy for each.
    places = Places(replica(model))
    folded = replica(model)
    modules = dict(folded.named_modules())
    names = [name for name, module in modules.items() if is_batch_norm(module)]
    fates: dict[str, Fate] = {}
    # In the order of the calls: a norm that is gone lets the next one reach the layer before it.
    for name in sorted(names, key=places.position):
        try:
            fates[name] = Fate(name, _fold_one(name, modules, places))
        except Kept as kept:
            fates[name] = Fate(name, reason=str(kept))
    of_modules = [fates[name] for name in names]
    reason = "it is a call of F.batch_norm and no module"
    of_functions = [Fate(name, reason=reason) for name in places.functions]
    staying = [fate.name for fate in of_modules if not fate.into]
    return Folding(folded, (*of_modules, *of_functions), places.notes(staying))


def _fold_one(name: str, modules: dict[str, nn.Module], places: Places) -> tuple[str, ...]:
    """Fold one norm; the names of the layers that took it over.

    Raises:
        Kept: it cannot be folded exactly; nothing has changed then.
    """
    norm = modules[name]
    place = places.of(name)
    places.refuse_reached(name, place)
    affine = fixed_affine(norm)
    into: tuple[str, ...]
    try:
        # Before rather than after: that is exact for any padding.
        into = (place.layer_before(name),)
        places.refuse_shared(into, place)
        layer = _weighted(modules[into[0]])
        dims = _fitting_outputs(layer, affine)
        scale_outputs(layer, affine)
    except Kept as before:
        try:
            # A layer after an activation does not read what the norm gave.
            if affine.tail is not None:
                raise Kept("an activation of its own follows")
            into = place.layers_after(name)
            places.refuse_shared(into, place)
            # All are checked before any is changed: a refusal leaves them as they are.
            layers = [_weighted(modules[name]) for name in into]
            dims = max(_fitting_inputs(layer, affine) for layer in layers)
        except Kept as after:
            raise Kept(f"{before}; {after}") from None
        for layer in layers:
            scale_inputs(layer, affine)
    # A norm that takes several numbers of dimensions is folded for one of them alone.
    instead = affine.tail or (OnlyDims(dims) if len(affine.dims) > 1 else nn.Identity())
    for module in modules.values():
        # A shared norm stands in several places, under the one path that it is known by.
        for child, value in module._modules.items():
            if value is norm:
                module._modules[child] = instead.train(norm.training)
    # With an activation in its place the norm's output is not what it was given.
    if affine.tail is None:
        place.remove(name)
    return into


def _weighted(layer: nn.Module) -> Weighted:
    """`layer`, which the call graph takes for one with weights."""
    assert isinstance(layer, Weighted)
    return layer


def _fitting_outputs(layer: Weighted, affine: Affine) -> int:
    """The number of dimensions at which the channels of the norm are the layer's outputs.

    Raises:
        Kept: there is none.
    """
    channels = layer.out_channels if isinstance(layer, _ConvNd) else layer.out_features
    return _common_dims(layer, affine, channels)


def _fitting_inputs(layer: Weighted, affine: Affine) -> int:
    """The number of dimensions at which the channels of the norm are the layer's inputs.

    Raises:
        Kept: there is none, or the layer reads more than the norm gave.
    """
    if isinstance(layer, _ConvTransposeNd):
        raise Kept(
            "it stands before a transposed convolution, "
            "whose outputs near edges and gaps sum fewer inputs"
        )
    if not isinstance(layer, _ConvNd):
        return _common_dims(layer, affine, layer.in_features)
    # In numbers, even where `padding` is the word "same".
    if layer.padding_mode == "zeros" and any(layer._reversed_padding_repeated_twice):
        raise Kept(
            "it stands before a convolution that pads with zeros, which the norm would have shifted"
        )
    return _common_dims(layer, affine, layer.in_channels)


def _common_dims(layer: Weighted, affine: Affine, channels: int) -> int:
    """`channels`: how many the layer has on the side of the norm."""
    dims = affine.dims[0] if affine.channels_last else 2  # a linear layer's are the last dimension
    if isinstance(layer, _ConvNd):
        dims = layer.weight.ndim
    swapped = isinstance(layer, _ConvNd) and affine.channels_last
    if swapped or dims not in affine.dims or channels != len(affine.scale):
        raise Kept(f"its channels are not those of the {type(layer).__name__} beside it")
    return dims
