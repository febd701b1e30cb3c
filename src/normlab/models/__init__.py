"""The networks, and the one place that builds one. Importing this package does not import torch."""

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any

from normlab.errors import NormLabError, choices
from normlab.models.options import NetworkConfig, keywords

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODALITIES", "MODELS", "build_model", "model_class"]

MODELS = {  # module of this package, and class
    "plaincnn": "PlainCNN",
    "speednet": "SpeedNet",
    "resnet": "ResNet",
    "mlp": "MLP",
    "transformer": "Transformer",
    "rnn": "RNN",
}
MODALITIES = ("image", "text", "masked", "documents")


def model_class(name: str) -> Any:
    """The class of a model; its `modalities` are those of the data that it reads.

    Raises:
        NormLabError: no such model.
    """
    if name not in MODELS:
        raise choices("model", name, MODELS)
    return getattr(importlib.import_module(f"normlab.models.{name}"), MODELS[name])


def build_model(
    cfg: NetworkConfig, modality: str, input_shape: tuple[int, ...], num_outputs: int
) -> "nn.Module":
    """The network that `cfg` describes, on the CPU.

    `modality`: "image", input (C, H, W); "text", the next of T characters; "masked", the hidden
    ones of T tokens, and "documents", the class of T tokens, input (T, vocabulary).
    Weights come from a generator of their own: the same seed gives bit-identical non-norm weights
    for every norm.

    Raises:
        NormLabError: a model for another modality, a norm that mixes positions in a causal model,
            sizes that do not fit.
    """
    # Not at import: configurations name models in a process that has no need of torch.
    import torch

    from normlab.norms import make_norm, require_causal, spec_of
    from normlab.norms.reparametrizations import apply_reparam

    cls = model_class(cfg.model.name)
    if modality not in cls.modalities:
        fitting = [name for name in MODELS if modality in model_class(name).modalities]
        raise NormLabError(
            f"model={cfg.model.name} does not read {modality}: "
            f"choose model={' or '.join(fitting)}, or other data."
        )
    for option, value in (("depth", cfg.model.depth), ("width", cfg.model.width)):
        if value < 1:
            raise NormLabError(f"model.{option}={value}: give a whole number of at least 1.")
    generator = torch.Generator().manual_seed(cfg.seed)
    kind, norm_options = cfg.norm.kind, cfg.norm.options
    norm: Any = partial(make_norm, kind, **norm_options)  # type: ignore[arg-type]
    options = keywords(cfg.model)
    model: nn.Module
    if modality == "image":
        # A bias beside a norm that shifts is dead weight; without a shift it is the only one.
        bias = not spec_of(kind, **norm_options).has_shift
        model = cls(input_shape, num_outputs, norm, bias, generator, **options)
    else:
        # Only "text" predicts what comes next: the other modalities may see every position.
        if modality == "text" and cls.mixes_positions:
            require_causal(kind, allow_noncausal=cfg.allow_noncausal, **norm_options)
        model = cls(input_shape, num_outputs, norm, generator, modality=modality, **options)
    # Last: it takes the weights as they were drawn, so that they are the same under every kind.
    apply_reparam(model, cfg.reparam.kind)
    return model
