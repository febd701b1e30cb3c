"""From the name of a kind to a layer: `make_norm`, and what every kind declares: `KINDS`."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from normlab.errors import NormLabError, choices
from normlab.norms.base import Norm
from normlab.norms.custom import CustomNorm
from normlab.norms.guests import check_guest_layout, guest_spec
from normlab.norms.registry import declared_kinds
from normlab.norms.spec import LAYOUTS, REGISTERED, NormSpec, norm_kind

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


class _Kinds(Mapping[str, NormSpec]):
    """By kind. Looked up late: a package that adds a kind may be importing this one just now."""

    def __getitem__(self, kind: str) -> NormSpec:
        return REGISTERED[kind].spec

    def __iter__(self) -> Iterator[str]:
        return iter(declared_kinds())

    def __len__(self) -> int:
        return len(declared_kinds())


KINDS: Mapping[str, NormSpec] = _Kinds()


def make_norm(
    kind: str, num_features: int | Sequence[int], layout: str = "NCHW", **options: object
) -> nn.Module:
    """The norm `kind` over `num_features` channels.

    Shape: (N, C), (N, C, L), (N, C, H, W), (N, C, D, H, W) or (N, T, C) as `layout` says; shape,
    layout, memory format and dtype are the same out as in.
    An input of another precision than the parameters is computed in the wider of the two; one
    without values comes back, and counts as a batch in train mode, as in torch.
    Parameters: in most kinds weight (C,), ones, and bias (C,), zeros, in float32; the class of
    each kind says what else. Nothing is drawn from a random generator.

    Source: each kind's class names its paper.

    Args:
        kind: a name in KINDS, or `custom`: a layer that lies elsewhere, which the options
            `target` and `options` name (see normlab.norms.custom).
        num_features: the number of channels C; for layernorm and rmsnorm also the sizes of a
            sample, as (C, H, W), which `nn.LayerNorm` calls normalized_shape.
        layout: `NC`, `NCL`, `NCHW`, `NCDHW` or `NTC`; stated and never guessed. Of these, NCL and
            NCDHW are maps as NCHW is: layernorm is over (C, L), and causal_safe says nothing.
        options: keywords of the kind, `KINDS[kind].options`, as in conf/norm/<kind>.yaml.

    Raises:
        NormLabError: an unknown kind, layout or option, a layout that the kind cannot take, a
            value that an option cannot have; a custom layer that normalizes nothing, or whose
            channels lie elsewhere in this layout.
    """
    spec = spec_of(kind, **options)
    if kind != CUSTOM and layout not in spec.layouts and layout in LAYOUTS:
        raise NormLabError(
            f"{kind} cannot take layout {layout}: choose one of {', '.join(spec.layouts)}."
        )
    for name in options:
        if name not in spec.options:
            raise _unknown_option(name, kind, spec)
    build: Callable[..., nn.Module] = CustomNorm if kind == CUSTOM else REGISTERED[kind].layer
    layer = build(num_features, layout, **options)
    if isinstance(layer, CustomNorm):
        check_guest_layout(options["target"], options.get("options"), layout, layer.num_features)
    return layer


def spec_of(kind: str, **options: object) -> NormSpec:
    """What `make_norm(kind, ..., **options)` does: declared, or measured for a custom norm without.

    Without gain and shift, or with a gain alone, a kind learns no shift; running statistics in
    instance norm make train and eval mode differ.

    Raises:
        NormLabError: an unknown kind; what `guest_spec` refuses.
    """
    if kind == CUSTOM:
        return guest_spec(options.get("target"), options.get("options"))
    if kind not in KINDS:
        raise choices("norm", kind, [*KINDS, CUSTOM])
    spec = KINDS[kind]
    if spec.has_shift and not (options.get("affine", True) and options.get("bias", True)):
        spec = replace(spec, has_shift=False)
    if kind == "instancenorm" and options.get("track_running_stats"):
        spec = replace(spec, train_eval_differ=True)
    return spec


def require_causal(kind: str, *, allow_noncausal: bool, **options: object) -> None:
    """Raises NormLabError for a kind that mixes positions, unless that is allowed."""
    if not spec_of(kind, **options).causal_safe and not allow_noncausal:
        safe = ", ".join(name for name, spec in KINDS.items() if spec.causal_safe)
        raise NormLabError(
            f"norm={kind} mixes positions and so shows a causal model the future: "
            f"choose one of {safe}, or pass allow_noncausal=true."
        )


def _unknown_option(name: str, kind: str, spec: NormSpec) -> NormLabError:
    valid = "leave it out, for it has none"
    if spec.options:
        valid = f"choose one of {', '.join(spec.options)}"
    return NormLabError(f"unknown option {name!r} of norm {kind!r}: {valid}.")


def _import_kind(path: Path, module: str | None) -> None:
    """Import the file of a norm, whose classes register themselves.

    module: its name, where it is an installed package's.
    """
    if path.parent == Path(__file__).parent:
        module = f"normlab.norms.{path.stem}"
    if module is not None:
        importlib.import_module(module)
        return
    name = f"normlab_norm_{path.stem}"  # in the folder that NORMLAB_NORMS names
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


for _declared in declared_kinds().values():
    _import_kind(_declared.path, _declared.module)
