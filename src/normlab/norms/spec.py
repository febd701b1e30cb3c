"""What a kind of norm declares about itself, and the table of all imported kinds. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from normlab.norms.registry import declared_kinds

if TYPE_CHECKING:
    from normlab.norms.base import Norm

# name -> number of dimensions
LAYOUTS = {"NC": 2, "NCL": 3, "NCHW": 4, "NCDHW": 5, "NTC": 3}
MAP_LAYOUTS = ("NCL", "NCHW", "NCDHW")  # maps of one, two and three dimensions
# What layers from elsewhere are asked for, unless they declare more.
GUEST_LAYOUTS = ("NC", "NCHW", "NTC")


@dataclass(frozen=True, kw_only=True)
class NormSpec:
    """What a kind does with a training batch of sequences, or of images if it takes no sequences.

    The tests perturb other samples, other positions and the mode, and check each declaration.
    """

    centred: bool  # adding a constant to the input changes nothing
    scaled: bool  # multiplying the input by a positive constant changes nothing
    batch_dependent: bool  # a sample's output depends on the other samples
    train_eval_differ: bool  # the output in eval mode is not that in train mode
    causal_safe: bool  # a position's output depends on no later position of the sequence
    has_shift: bool  # learns a bias per channel, which makes that of a layer before it redundant
    layouts: tuple[str, ...]  # names of LAYOUTS
    options: tuple[str, ...] = ()  # keywords of make_norm, as in conf/norm/<kind>.yaml


class RegisteredKind(NamedTuple):
    """The class of a kind, and what it declares."""

    layer: type[Norm]
    spec: NormSpec


REGISTERED: dict[str, RegisteredKind] = {}


def norm_kind(
    kind: str,
    *,
    centred: bool = False,
    scaled: bool = False,
    batch_dependent: bool = False,
    train_eval_differ: bool = False,
    causal_safe: bool = False,
    has_shift: bool = False,
    layouts: tuple[str, ...] = GUEST_LAYOUTS,
) -> Callable[[type[Norm]], type[Norm]]:
    """A class decorator: makes the class the norm `kind`, and declares what it does (see NormSpec).

    Nothing else is needed. `norm=<kind>` takes its options, with their types and defaults, from the
    keywords of the class's `__init__`.

    Args:
        kind: written out as a string, because the configuration reads the file without running it.
        layouts: names of LAYOUTS.
    """

    def register(layer: type[Norm]) -> type[Norm]:
        spec = NormSpec(
            centred=centred,
            scaled=scaled,
            batch_dependent=batch_dependent,
            train_eval_differ=train_eval_differ,
            causal_safe=causal_safe,
            has_shift=has_shift,
            layouts=layouts,
            options=tuple(option.name for option in declared_kinds()[kind].options),
        )
        REGISTERED[kind] = RegisteredKind(layer, spec)
        return layer

    return register
