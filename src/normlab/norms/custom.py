"""A layer that lies anywhere on the import path.

    python train.py norm=custom norm.target=my_package.my_module.MyNorm

What it must accept:

- `MyNorm(num_features, **norm.options)`, and `layout=` with NC, NCHW or NTC if its `__init__` has
  that keyword.
- `forward(x)` with x (N, C), (N, C, H, W) or (N, T, C); the same shape comes out. For a layout
  that it cannot take it raises; a layer without the keyword finds its channels by itself, (N, T,
  C) included.
- `train()` and `eval()`, `double()`, `copy.deepcopy`; statistics in buffers, what is learned in
  parameters.
- A class attribute `spec`, a `NormSpec`, declares what it does. Without one this is measured by
  perturbation, which also refuses a `spec` that promises what the layer does not keep.

All its parameters are trained without weight decay, but for those of linear and convolutional
layers inside.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.norms.base import Norm
from normlab.norms.properties import CHANNELS, measured_spec
from normlab.norms.registry import import_target
from normlab.norms.spec import GUEST_LAYOUTS, NormSpec
from normlab.norms.tensors import narrow


class CustomNorm(Norm):
    """The layer `target(num_features, **options)`, its shapes checked.

    Shape: (N, C), (N, C, H, W) or (N, T, C) as `layout` says, the same out as in.
    Parameters and buffers: those of the layer, below `layer`.

    Args:
        target: the dotted path of a class.
        options: its keywords.

    Raises:
        NormLabError: a target that cannot be imported or built, or that makes no nn.Module; in
            forward, an output of another shape than the input.
    """

    def __init__(
        self, num_features: int, layout: str, target: object = None, options: object = None
    ) -> None:
        super().__init__(num_features, layout)
        given = plain_options(options)
        build = import_target(target)
        try:
            if "layout" in inspect.signature(build).parameters:
                given["layout"] = layout
            self.layer: nn.Module = build(num_features, **given)
        except NormLabError:
            raise
        except Exception as error:  # whatever a class of somebody else's raises
            raise NormLabError(
                f"norm.target={target} cannot be built with {num_features} features and the "
                f"options {sorted(given)}: {type(error).__name__}: {error}; "
                "see normlab.norms.custom."
            ) from None
        if not isinstance(self.layer, nn.Module):
            raise NormLabError(
                f"norm.target={target} makes a {type(self.layer).__name__}: "
                "name a class of nn.Module."
            )

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        y = self.layer(x)
        if y.shape != x.shape:
            raise NormLabError(
                f"{type(self.layer).__name__} made {tuple(y.shape)} of {tuple(x.shape)}: "
                "a norm keeps the shape."
            )
        return narrow(y, x)


def custom_spec(
    target: object, options: object = None, layouts: tuple[str, ...] = GUEST_LAYOUTS
) -> NormSpec:
    """The `spec` that the class at the dotted path `target` declares, or what it is measured to do.

    It is tried in `layouts`.

    Raises:
        NormLabError: a target that cannot be imported or built, or that takes none of the
            layouts; a `spec` that promises what the layer does not keep.
    """
    return _spec(target, json.dumps(plain_options(options), sort_keys=True), layouts)


def plain_options(options: object) -> dict[str, Any]:
    """`norm.options` in Python's types: a configuration has lists and mappings of its own."""
    if not options:
        return {}
    if not isinstance(options, Mapping):
        raise NormLabError(
            f"norm.options={options}: give names and values, as in 'norm.options={{alpha: 0.5}}'."
        )
    return {str(name): _plain_value(value) for name, value in options.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _plain_value(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | tuple):
        return [_plain_value(item) for item in value]
    return value


@cache
def _spec(target: object, options: str, layouts: tuple[str, ...]) -> NormSpec:
    """`options` as JSON, by which the specs are remembered: measuring one takes a while."""
    declared = getattr(import_target(target), "spec", None)
    try:
        measured = measured_spec(
            lambda layout: CustomNorm(CHANNELS, layout, target, json.loads(options)),
            ("target", "options"),
            layouts,
        )
    except NormLabError:
        raise
    except Exception as error:
        raise NormLabError(
            f"norm.target={target} takes neither (N, C) nor (N, C, H, W) nor (N, T, C) with "
            f"{CHANNELS} channels: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(declared, NormSpec):
        return measured
    if measured.batch_dependent and not declared.batch_dependent:
        raise NormLabError(
            f"norm.target={target} declares batch_dependent=False, "
            "yet a sample changes with the others."
        )
    if declared.causal_safe and not measured.causal_safe:
        raise NormLabError(
            f"norm.target={target} declares causal_safe=True, yet positions change with later ones."
        )
    return replace(declared, options=measured.options)
