"""The norm layers of any network.

torch's, ours and timm's are known by their class, others by what they do with a random input.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from normlab.norms import KINDS, Norm
from normlab.norms.spec import REGISTERED
from normlab.tools.eps import eps_of
from normlab.tools.norm_probe import probe_norm

FROZEN = "frozen_batchnorm"
# The kinds that layers of other libraries can be.
SOURCES = (
    *("batchnorm", "syncbatchnorm", FROZEN, "groupnorm", "instancenorm"),
    *("layernorm", "channel_layernorm", "rmsnorm", "channel_rmsnorm"),
)
_LAYOUTS = (
    (nn.BatchNorm2d | nn.InstanceNorm2d, "NCHW"),
    (nn.BatchNorm3d | nn.InstanceNorm3d, "NCDHW"),
    (nn.InstanceNorm1d, "NCL"),
)
_FOLLOWERS = {"drop", "act"}  # timm's names for what a norm layer applies after the norm


@dataclass(frozen=True)
class NormLayer:
    """A norm layer at every path that leads to it.

    kind: one of ours or of SOURCES, "" where the layer cannot be read, for the `reason`.
    channels: "first", (N, C, *); "last", (*, C); or a layout of ours, where it takes no other.
    weight, bias: gain and shift (C,) of the normalized value, or None; they are the layer's own
    parameters wherever it uses those as they are.
    """

    names: tuple[str, ...]
    module: nn.Module
    kind: str = ""
    features: int = 0
    channels: str = ""
    weight: Tensor | None = None
    bias: Tensor | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        return self.names[0] or "(the model itself)"

    @property
    def eps(self) -> float | None:
        """None where the layer keeps none, though one may stand in its code."""
        return eps_of(self.module)

    @property
    def kept_statistics(self) -> bool:
        return isinstance(getattr(self.module, "running_mean", None), Tensor)

    @property
    def is_batch_norm(self) -> bool:
        """Whether it can normalize with statistics of the batch, and has others for evaluation."""
        if self.kind in KINDS and isinstance(self.module, Norm):
            return KINDS[self.kind].batch_dependent
        return self.kind in ("batchnorm", "syncbatchnorm")

    @property
    def is_live(self) -> bool:
        """Whether it normalizes with statistics of the batch now."""
        return self.is_batch_norm and bool(self.module.training)

    def __str__(self) -> str:
        name = type(self.module).__name__
        return f"{name}({self.features})" if self.kind else name


def find_norms(model: nn.Module) -> list[NormLayer]:
    """Every norm layer of `model`, in the order of its modules, each once.

    A class that torch, timm or this package made is known. Any other layer without layers inside
    is a norm if its output stays the same when its input is multiplied by a constant; its gain
    and shift are read off its outputs, and checked on other inputs. Layers that have "norm" in
    the name of their class and are neither get a `reason`. What a network calls as a function
    (`F.layer_norm`) is no layer, and is not found.
    """
    # A module that several paths lead to is one layer, and stays shared when it is converted.
    paths: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        paths.setdefault(module, []).append(name)
    layers = []
    inside: tuple[str, ...] = ()  # paths of norms and parametrizations, whose modules are their own
    for module, names in paths.items():
        # A norm's own modules (an activation, a wrapped norm) belong to it.
        if inside and names[0].startswith(inside):
            continue
        layer = read_norm(module, tuple(names))
        if layer is not None:
            layers.append(layer)
        if layer is not None or ".parametrizations" in f".{names[0]}":
            inside = (*inside, f"{names[0]}.") if names[0] else inside
    return layers


def read_norm(module: nn.Module, names: tuple[str, ...] = ("",)) -> NormLayer | None:
    """What `module` is as a norm, or None if nothing suggests that it is one."""
    if isinstance(module, Norm):
        return _ours(module, names)
    # Before torch's classes: a lazy one is derived from them, with channels unknown.
    if isinstance(module, _LazyNormBase):
        reason = "it has not seen its first batch, and so has no channels yet"
        return NormLayer(names, module, reason=reason)
    statistics = getattr(module, "running_mean", None)
    # By name, since torchvision and transformers have a class each, and torch none.
    if "FrozenBatchNorm" in type(module).__name__ and isinstance(statistics, Tensor):
        return _with_affine(module, names, FROZEN, len(statistics), "NCHW")
    if isinstance(module, _BatchNorm | _InstanceNorm | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm):
        return _of_torch(module, names)
    return _by_probe(module, names) or _unreadable(module, names)


def followers(module: nn.Module) -> dict[str, nn.Module]:
    """What a layer of timm applies after its norm, by name: dropout and activation."""
    children = dict(module.named_children())
    return children if children and set(children) <= _FOLLOWERS else {}


def _ours(module: Norm, names: tuple[str, ...]) -> NormLayer:
    kinds = (name for name, registered in REGISTERED.items() if type(module) is registered.layer)
    # Not by isinstance: a class derived from one of ours may compute something else.
    kind = next(kinds, "custom")
    if getattr(module, "frozen", False):
        kind = FROZEN
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    return NormLayer(names, module, kind, module.num_features, module.layout, weight, bias)


def _of_torch(module: nn.Module, names: tuple[str, ...]) -> NormLayer:
    """A layer of one of torch's classes, or of a class derived from one."""
    # A subclass with a forward of its own may do anything. Of LayerNorm such ones are common, over
    # channels of maps, and probing can tell what they do.
    if not _plain_forward(module):
        if isinstance(module, nn.LayerNorm):
            reason = "its forward is not that of nn.LayerNorm"
            return _by_probe(module, names) or NormLayer(names, module, reason=reason)
        reason = f"its forward is not that of {_torch_class(module).__name__}"
        return NormLayer(names, module, reason=reason)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        shape = tuple(module.normalized_shape)
        if len(shape) > 1:
            reason = f"it has a gain for each of {shape}, and ours one per channel"
            return NormLayer(names, module, reason=reason)
        kind = "layernorm" if isinstance(module, nn.LayerNorm) else "rmsnorm"
        return _with_affine(module, names, kind, shape[0], "last")
    if isinstance(module, nn.GroupNorm):
        return _with_affine(module, names, "groupnorm", module.num_channels, "first")
    assert isinstance(module, _BatchNorm | _InstanceNorm)
    # These take one layout alone, so that a norm in their place needs no adapter.
    channels = next((name for cls, name in _LAYOUTS if isinstance(module, cls)), "first")
    kind = "syncbatchnorm" if isinstance(module, nn.SyncBatchNorm) else "batchnorm"
    if isinstance(module, _InstanceNorm):
        kind = "instancenorm"
    return _with_affine(module, names, kind, module.num_features, channels)


def _with_affine(
    module: Any, names: tuple[str, ...], kind: str, features: int, channels: str
) -> NormLayer:
    """A layer whose gain and shift are its `weight` and, where it has one, its `bias`."""
    bias = getattr(module, "bias", None)
    return NormLayer(names, module, kind, features, channels, module.weight, bias)


def _by_probe(module: nn.Module, names: tuple[str, ...]) -> NormLayer | None:
    probed = probe_norm(module, followers(module))
    return NormLayer(names, module, **vars(probed)) if probed else None


def _unreadable(module: nn.Module, names: tuple[str, ...]) -> NormLayer | None:
    """A layer that is called a norm, and is none that can be read."""
    if "norm" not in type(module).__name__.lower() or any(module.children()):
        return None
    if "torch.nn.utils" in type(module).__module__:  # a parametrization of weights
        return None
    reason = "its output is not a normalized input with one gain and shift per channel"
    if not list(module.parameters()):
        reason = "it has no parameters, which would say how many channels it takes"
    return NormLayer(names, module, reason=reason)


def _torch_class(module: nn.Module) -> Any:
    """The class of torch's that `module` is, or is derived from."""
    classes = type(module).__mro__
    return next(cls for cls in classes if cls.__module__.startswith("torch.nn.modules"))


def _plain_forward(module: nn.Module) -> bool:
    """Whether it computes what torch's class does, and then what is fused with it."""
    if type(module).forward is _torch_class(module).forward:
        return True
    timm = type(module).__module__.startswith("timm.layers.")
    # Those of timm that normalize over channels read them first or last.
    return timm and not isinstance(module, nn.LayerNorm | nn.RMSNorm)
