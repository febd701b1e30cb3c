"""Normalization layers behind one function: `make_norm("groupnorm", 64, "NCHW", num_groups=8)`.

Importing this package alone imports no torch: the configuration reads the kinds from their files.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normlab.norms.base import Norm
    from normlab.norms.make import KINDS, make_norm, require_causal, spec_of
    from normlab.norms.spec import LAYOUTS, NormSpec, norm_kind

__all__ = [
    "KINDS",
    "LAYOUTS",
    "Norm",
    "NormSpec",
    "make_norm",
    "norm_kind",
    "require_causal",
    "spec_of",
]


def __getattr__(name: str) -> object:
    """The public names, with torch, when one of them is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from normlab.norms import make

    return getattr(make, name)
