"""The norm layers of any network: torch's, ours and timm's by class, others by what they do with a random input."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase
from torch.nn.modules.instancenorm import _InstanceNorm

from normlab.norms import KINDS, Norm
from normlab.norms.spec import REGISTERED
from normlab.tools.measured_norms import measure

FROZEN = "frozen_batchnorm"
SOURCES = (
    *(
        "batchnorm",
        "syncbatchnorm",
        FROZEN,
        "groupnorm",
        "instancenorm",
        "layernorm",
        "channel_layernorm",
    ),
    *("rmsnorm", "channel_rmsnorm"),
)
_FUSED = {"drop", "act"}  # timm's names for what a norm layer applies after the norm


@dataclass(frozen=True)
class NormLayer:
    """A norm layer at every path that leads to it.

    kind: one of ours or of SOURCES, "" where the layer cannot be read, for the `reason`. channels: "first", (N, C, *);
    "last", (*, C); or a layout of ours, where it takes no other. weight, bias: gain and shift (C,) of the normalized
    value, or None; they are the layer's own parameters wherever it uses those as they are.
    """

    names: tuple[str, ...]
    module: Any
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
    def kept_statistics(self) -> bool:
        return isinstance(getattr(self.module, "running_mean", None), Tensor)

    @property
    def is_batch_norm(self) -> bool:
        """Whether it can normalize with statistics of the batch, and takes others for evaluation."""
        if self.kind in KINDS and isinstance(self.module, Norm):
            return KINDS[self.kind].batch_dependent
        return self.kind in ("batchnorm", "syncbatchnorm")

    @property
    def is_live(self) -> bool:
        """Whether it normalizes with statistics of the batch now."""
        return self.is_batch_norm and bool(self.module.training)

    def __str__(self) -> str:
        return (
            f"{type(self.module).__name__}({self.features})"
            if self.kind
            else type(self.module).__name__
        )


def find_norms(model: nn.Module) -> list[NormLayer]:
    """Every norm layer of `model`, in the order of its modules; one that several paths lead to, once.

    A class that torch, timm or this package made is known. Any other layer without parts of its own is a norm if its
    output stays the same when its input is multiplied by a constant; its gain and shift are read off its outputs, and
    checked on other inputs. Layers that have "norm" in the name of their class and are neither get a `reason`. What a
    network calls as a function (`F.layer_norm`) is no layer, and is not found.
    """
    paths: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        paths.setdefault(module, []).append(name)
    found = []
    inside: tuple[str, ...] = ()  # of a norm or a parametrization, whose parts are its own
    for module, names in paths.items():
        if inside and names[0].startswith(inside):
            continue
        layer = read_norm(module, tuple(names))
        if layer is not None:
            found.append(layer)
        if layer is not None or ".parametrizations" in f".{names[0]}":
            inside = (*inside, f"{names[0]}.") if names[0] else inside
    return found


def read_norm(module: nn.Module, names: tuple[str, ...] = ("",)) -> NormLayer | None:
    """What `module` is as a norm, or None if nothing suggests that it is one."""

    def known(kind: str, features: int, channels: str) -> NormLayer:
        owner: Any = module
        return NormLayer(names, module, kind, features, channels, owner.weight, owner.bias)

    def unread(reason: str) -> NormLayer:
        return NormLayer(names, module, reason=reason)

    def measured() -> NormLayer | None:
        found = measure(module, fused(module))
        return found and NormLayer(names, module, *found)

    if isinstance(module, Norm):
        return _ours(module, names)
    if isinstance(module, _LazyNormBase):
        return unread("it has not seen its first batch, and so has no channels yet")
    if "FrozenBatchNorm" in type(module).__name__ and isinstance(
        getattr(module, "running_mean", None), Tensor
    ):
        return known(FROZEN, len(module.running_mean), "NCHW")  # type: ignore[arg-type]
    if isinstance(module, _BatchNorm | _InstanceNorm | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm):
        if not _plain_forward(module):
            if isinstance(module, nn.LayerNorm):
                return measured() or unread("its forward is not that of nn.LayerNorm")
            return unread(f"its forward is not that of {_torch_class(module).__name__}")
        if isinstance(module, nn.LayerNorm | nn.RMSNorm):
            if len(module.normalized_shape) > 1:
                return unread(
                    f"it has a gain for each of {tuple(module.normalized_shape)}, and ours one per channel"
                )
            kind = "layernorm" if isinstance(module, nn.LayerNorm) else "rmsnorm"
            bias = getattr(module, "bias", None)
            return NormLayer(
                names, module, kind, module.normalized_shape[0], "last", module.weight, bias
            )
        if isinstance(module, nn.GroupNorm):
            return known("groupnorm", module.num_channels, "first")
        channels = "NCHW" if isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) else "first"
        if isinstance(module, _InstanceNorm):
            return known("instancenorm", module.num_features, channels)
        kind = "syncbatchnorm" if isinstance(module, nn.SyncBatchNorm) else "batchnorm"
        return known(kind, module.num_features, channels)
    found = measured()
    if found is None and "norm" in type(module).__name__.lower() and not any(module.children()):
        if "torch.nn.utils" in type(module).__module__:  # a parametrization of weights
            return None
        if not list(module.parameters()):
            return unread("it has no parameters, which would say how many channels it takes")
        return unread("its output is not a normalized input with one gain and shift per channel")
    return found


def fused(module: nn.Module) -> dict[str, nn.Module]:
    """What a layer of timm applies after its norm, by name: dropout and activation."""
    parts = dict(module.named_children())
    return parts if parts and set(parts) <= _FUSED else {}


def _ours(module: Norm, names: tuple[str, ...]) -> NormLayer:
    kind = next((name for name, (cls, _) in REGISTERED.items() if type(module) is cls), "custom")
    if getattr(module, "frozen", False):
        kind = FROZEN
    weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
    return NormLayer(names, module, kind, module.num_features, module.layout, weight, bias)


def _torch_class(module: nn.Module) -> Any:
    return next(
        cls for cls in type(module).__mro__ if cls.__module__.startswith("torch.nn.modules")
    )


def _plain_forward(module: nn.Module) -> bool:
    """Whether a layer of one of torch's classes computes what that class does, and then what is fused with it."""
    if type(module).forward is _torch_class(module).forward:
        return True
    timm = type(module).__module__.startswith("timm.layers.")
    return timm and not isinstance(
        module, nn.LayerNorm | nn.RMSNorm
    )  # those read channels first or last
