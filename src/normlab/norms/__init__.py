"""Normalization layers behind one function: `make_norm("groupnorm", 64, "NCHW", num_groups=8)`."""

import inspect
from dataclasses import replace

from torch import nn

from normlab.errors import NormLabError, choices
from normlab.norms.base import LAYOUTS, Norm, NormSpec
from normlab.norms.batch import BatchNorm, BatchRenorm
from normlab.norms.frn import FilterResponseNorm
from normlab.norms.group import AdaIN, GroupNorm, InstanceNorm
from normlab.norms.layer import ChannelLayerNorm, LayerNorm
from normlab.norms.pointwise import Derf, DyT, NoNorm
from normlab.norms.rms import PixelNorm, RMSNorm

__all__ = ["KINDS", "LAYOUTS", "Norm", "NormSpec", "make_norm", "require_causal"]

ANY = ("NC", "NCHW", "NTC")
POSITIONS = ("NCHW", "NTC")  # more than one value per sample and channel
MAPS = ("NCHW",)

# name: (class, centred, scaled, batch_dependent, train_eval_differ, causal_safe, has_shift, layouts)
_TABLE = {
    "none": (NoNorm, False, False, False, False, True, False, ANY),
    "batchnorm": (BatchNorm, True, True, True, True, False, True, ANY),
    "layernorm": (LayerNorm, True, True, False, False, True, True, ANY),
    "channel_layernorm": (ChannelLayerNorm, True, True, False, False, True, True, ANY),
    "groupnorm": (GroupNorm, True, True, False, False, False, True, ANY),
    "instancenorm": (InstanceNorm, True, True, False, False, False, True, POSITIONS),
    "rmsnorm": (RMSNorm, False, True, False, False, True, False, ANY),
    "pixelnorm": (PixelNorm, False, True, False, False, True, False, ANY),
    # as at the start of its warm-up; with its corrections on, it follows the running statistics
    "batchrenorm": (BatchRenorm, True, True, True, True, False, True, ANY),
    "frn": (FilterResponseNorm, False, True, False, False, False, True, MAPS),
    "adain": (AdaIN, True, True, False, False, False, False, POSITIONS),
    "dyt": (DyT, False, False, False, False, True, True, ANY),
    "derf": (Derf, False, False, False, False, True, True, ANY),
}


def _options(cls: type[Norm]) -> tuple[str, ...]:
    parameters = inspect.signature(cls.__init__).parameters
    return tuple(name for name in parameters if name not in ("self", "num_features", "layout"))


_CLASSES: dict[str, type[Norm]] = {kind: row[0] for kind, row in _TABLE.items()}
KINDS: dict[str, NormSpec] = {
    kind: replace(NormSpec(*row[1:]), options=_options(row[0])) for kind, row in _TABLE.items()
}


def make_norm(kind: str, num_features: int, layout: str = "NCHW", **options: object) -> nn.Module:
    """The norm `kind` over `num_features` channels; `KINDS[kind].options` are its options, as in conf/norm/<kind>.yaml.

    layout: `NC` (N, C), `NCHW` (N, C, H, W) or `NTC` (N, T, C). Same shape, layout and dtype out as in; weight starts
    at ones and bias at zeros, both (C,); nothing is drawn from a random generator. Raises NormLabError for an unknown
    kind or option, for a layout that the kind cannot take and for a value that an option cannot have.
    """
    if kind not in KINDS:
        raise choices("norm", kind, KINDS)
    spec = KINDS[kind]
    if layout not in spec.layouts and layout in LAYOUTS:
        raise NormLabError(f"{kind} cannot take layout {layout}: choose one of {', '.join(spec.layouts)}.")
    for name in options:
        if name not in spec.options:
            valid = f"choose one of {', '.join(spec.options)}" if spec.options else "leave it out, for it has none"
            raise NormLabError(f"unknown option {name!r} of norm {kind!r}: {valid}.")
    return _CLASSES[kind](num_features, layout, **options)


def require_causal(kind: str, allow_noncausal: bool) -> None:
    """Raises NormLabError for a kind that mixes positions, unless that is allowed."""
    if kind not in KINDS:
        raise choices("norm", kind, KINDS)
    if not KINDS[kind].causal_safe and not allow_noncausal:
        safe = ", ".join(name for name, spec in KINDS.items() if spec.causal_safe)
        raise NormLabError(
            f"norm={kind} mixes positions and so shows a causal model the future: choose one of {safe}, "
            "or pass allow_noncausal=true."
        )
