"""The networks, and the one place that builds one from a configuration."""

from functools import partial
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError, choices
from normlab.models.mlp import MLP
from normlab.models.plaincnn import PlainCNN
from normlab.models.resnet import ResNet
from normlab.models.transformer import Transformer
from normlab.norms import KINDS, make_norm, require_causal
from normlab.reparam import apply_reparam

IMAGE_MODELS: dict[str, type[nn.Module]] = {"plaincnn": PlainCNN, "resnet": ResNet, "mlp": MLP}
TEXT_MODELS: dict[str, type[nn.Module]] = {"transformer": Transformer}


def build_model(cfg: Any, modality: str, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """The network that `cfg` (groups model, norm, reparam; seed) describes, on the CPU.

    Weights come from a generator of their own: the same seed gives bit-identical non-norm weights for every norm.

    Raises:
        NormLabError: a model for the other modality, a norm that mixes positions in a causal model, sizes
            that do not fit.
    """
    options = dict(cfg.model)
    name = options.pop("name")
    generator = torch.Generator().manual_seed(cfg.seed)
    for option in ("depth", "width"):
        if options[option] < 1:
            raise NormLabError(f"model.{option}={options[option]}: give a whole number of at least 1.")
    norm_options = dict(cfg.norm)
    norm = partial(make_norm, norm_options.pop("kind"), **norm_options)
    if name in IMAGE_MODELS and modality == "image":
        # A bias beside a norm that shifts is dead weight; without a shift it is the only one.
        bias = not KINDS[cfg.norm.kind].has_shift
        model = IMAGE_MODELS[name](input_shape, num_outputs, norm, bias, generator, **options)
    elif name in TEXT_MODELS and modality == "text":
        require_causal(cfg.norm.kind, cfg.allow_noncausal)
        model = TEXT_MODELS[name](input_shape[0], num_outputs, norm, generator, **options)
    elif name in IMAGE_MODELS or name in TEXT_MODELS:
        fitting = IMAGE_MODELS if modality == "image" else TEXT_MODELS
        raise NormLabError(
            f"model={name} does not read {modality}: choose model={' or '.join(fitting)}, or other data."
        )
    else:
        raise choices("model", name, [*IMAGE_MODELS, *TEXT_MODELS])
    apply_reparam(model, cfg.reparam.kind)
    return model
