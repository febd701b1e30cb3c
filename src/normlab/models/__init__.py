"""The networks, and the one place that builds one from a configuration."""

import importlib
from enum import Enum
from functools import partial
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError, choices
from normlab.norms import make_norm, require_causal, spec_of
from normlab.norms.reparametrizations import apply_reparam

MODELS = {  # module of this package, and class
    "plaincnn": "PlainCNN",
    "resnet": "ResNet",
    "mlp": "MLP",
    "transformer": "Transformer",
    "rnn": "RNN",
}
MODALITIES = ("image", "text", "masked", "documents")


def model_class(name: str) -> Any:
    """The class of a model; its `modalities` are those of the data that it reads."""
    if name not in MODELS:
        raise choices("model", name, MODELS)
    return getattr(importlib.import_module(f"normlab.models.{name}"), MODELS[name])


def build_model(
    cfg: Any, modality: str, input_shape: tuple[int, ...], num_outputs: int
) -> nn.Module:
    """The network that `cfg` (groups model, norm, reparam; seed) describes, on the CPU.

    `modality`: "image", input (C, H, W); "text", the next of T characters; "masked", the hidden ones of T tokens, and
    "documents", the class of T tokens, input (T, vocabulary).
    Weights come from a generator of their own: the same seed gives bit-identical non-norm weights for every norm.

    Raises:
        NormLabError: a model for another modality, a norm that mixes positions in a causal model, sizes
            that do not fit.
    """
    options = _plain(cfg.model)
    cls = model_class(options.pop("name"))
    if modality not in cls.modalities:
        fitting = [name for name in MODELS if modality in model_class(name).modalities]
        raise NormLabError(
            f"model={cfg.model.name} does not read {modality}: choose model={' or '.join(fitting)}, or other data."
        )
    generator = torch.Generator().manual_seed(cfg.seed)
    for option in ("depth", "width"):
        if options[option] < 1:
            raise NormLabError(
                f"model.{option}={options[option]}: give a whole number of at least 1."
            )
    norm_options = _plain(cfg.norm)
    kind = norm_options.pop("kind")
    norm = partial(make_norm, kind, **norm_options)
    if modality == "image":
        # A bias beside a norm that shifts is dead weight; without a shift it is the only one.
        bias = not spec_of(kind, **norm_options).has_shift
        model = cls(input_shape, num_outputs, norm, bias, generator, **options)
    else:
        if modality == "text" and cls.mixes_positions:
            require_causal(kind, allow_noncausal=cfg.allow_noncausal, **norm_options)
        model = cls(input_shape, num_outputs, norm, generator, modality=modality, **options)
    apply_reparam(model, cfg.reparam.kind)
    return model


def _plain(group: Any) -> dict[str, Any]:
    """A group of the configuration, its enumerated choices by name."""
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in dict(group).items()
    }
