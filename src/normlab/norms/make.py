"""Normalization layers behind one function: `make_norm("groupnorm", 64, "NCHW", num_groups=8)`."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from normlab.errors import NormLabError, choices
from normlab.norms.base import LAYOUTS, REGISTERED, Norm, NormSpec, norm_kind
from normlab.norms.custom import CustomNorm, custom_spec
from normlab.norms.registry import declared_kinds

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

CUSTOM = "custom"  # not a kind: what it does depends on its target


def _import(path: Path, module: str | None) -> None:
    """Run the file of a norm, whose classes register themselves."""
    if module is not None:
        importlib.import_module(module)
        return
    own = path.parent == Path(__file__).parent
    name = f"normlab.norms.{path.stem}" if own else f"normlab_norm_{path.stem}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


for _declared in declared_kinds().values():
    _import(_declared.path, _declared.module)


class _Kinds(Mapping[str, NormSpec]):
    """By kind. Looked up late: a package that adds a kind may itself be importing this one just now."""

    def __getitem__(self, kind: str) -> NormSpec:
        return REGISTERED[kind][1]

    def __iter__(self) -> Iterator[str]:
        return iter(declared_kinds())

    def __len__(self) -> int:
        return len(declared_kinds())


KINDS: Mapping[str, NormSpec] = _Kinds()


def make_norm(kind: str, num_features: int, layout: str = "NCHW", **options: object) -> nn.Module:
    """The norm `kind` over `num_features` channels; `KINDS[kind].options` are its options, as in conf/norm/<kind>.yaml.

    layout: `NC` (N, C), `NCHW` (N, C, H, W) or `NTC` (N, T, C). Same shape, layout and dtype out as in; weight starts
    at ones and bias at zeros, both (C,); nothing is drawn from a random generator. Raises NormLabError for an unknown
    kind or option, for a layout that the kind cannot take and for a value that an option cannot have.

    `custom`, with the options `target` and `options`, is a layer that lies elsewhere: see normlab.norms.custom.
    """
    spec = spec_of(kind, **options)
    if layout not in spec.layouts and layout in LAYOUTS:
        raise NormLabError(
            f"{kind} cannot take layout {layout}: choose one of {', '.join(spec.layouts)}."
        )
    for name in options:
        if name not in spec.options:
            valid = (
                f"choose one of {', '.join(spec.options)}"
                if spec.options
                else "leave it out, for it has none"
            )
            raise NormLabError(f"unknown option {name!r} of norm {kind!r}: {valid}.")
    cls = CustomNorm if kind == CUSTOM else REGISTERED[kind][0]
    return cls(num_features, layout, **options)  # type: ignore[arg-type]


def spec_of(kind: str, **options: Any) -> NormSpec:
    """What `make_norm(kind, ..., **options)` does: declared, or for a custom norm that declares nothing measured."""
    if kind == CUSTOM:
        return custom_spec(options.get("target"), options.get("options"))
    if kind not in KINDS:
        raise choices("norm", kind, [*KINDS, CUSTOM])
    return KINDS[kind]


def require_causal(kind: str, allow_noncausal: bool, **options: Any) -> None:
    """Raises NormLabError for a kind that mixes positions, unless that is allowed."""
    if not spec_of(kind, **options).causal_safe and not allow_noncausal:
        safe = ", ".join(name for name, spec in KINDS.items() if spec.causal_safe)
        raise NormLabError(
            f"norm={kind} mixes positions and so shows a causal model the future: choose one of {safe}, "
            "or pass allow_noncausal=true."
        )
