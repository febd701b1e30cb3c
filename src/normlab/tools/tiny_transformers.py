"""Tiny untrained networks of the library `transformers`, of any of its types; no downloads."""

from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from torch import nn

from normlab.errors import NormLabError
from normlab.records.record import DataSource

# Names that most configurations share; one that a type does not know becomes an attribute of its
# configuration that nobody reads.
TINY: dict[str, Any] = {
    "vocab_size": 99,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_ADDED: dict[str, dict[str, Any]] = {"gptj": {"rotary_dim": 16}}  # to TINY, by type


class _Other(NamedTuple):
    """A type that reads no tokens: its options in place of TINY, and the shape of its input."""

    options: dict[str, Any]
    shape: tuple[int, ...]


_BLOCKS = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_STAGES = {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 2, 1]}
_IMAGES = (2, 3, 64, 64)
_OTHERS = {
    "vit": _Other({**_BLOCKS, "image_size": 64}, _IMAGES),
    "swin": _Other(
        {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "image_size": 64}, _IMAGES
    ),
    "convnext": _Other({**_STAGES, "image_size": 64}, _IMAGES),
    "resnet": _Other({**_STAGES, "embedding_size": 8}, _IMAGES),
    "whisper": _Other(
        {
            "vocab_size": 99,
            "pad_token_id": 0,
            "d_model": 64,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "num_mel_bins": 16,
            "max_source_positions": 20,
        },
        (2, 16, 40),
    ),
    "wav2vec2": _Other({**_BLOCKS, "conv_dim": [32] * 7}, (2, 4000)),
    "dac": _Other(
        {"encoder_hidden_size": 8, "decoder_hidden_size": 64, "codebook_size": 16}, (2, 1, 4096)
    ),
    "univnet": _Other({"model_hidden_channels": 8}, (2, 10, 100)),
}


def transformers_version() -> DataSource:
    """The data of a trial: the version whose implementations are looked at."""
    number = version("transformers")
    return {"name": f"transformers {number}", "fingerprint": number}


def build_tiny(model_type: str, **options: Any) -> nn.Module:
    """The implementation of `model_type` in `transformers`, tiny, its weights random, in eval mode.

    With the head of a causal language model if it has one. `options` go over those of this file.

    Raises:
        NormLabError: `transformers` is not installed.
        ValueError: a type that the installed `transformers` does not know.
    """
    import normlab.models.torchvision_operators  # noqa: F401  (transformers imports torchvision)

    try:
        from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        from transformers.utils import logging
    except ImportError as error:
        raise NormLabError(
            f"model_type={model_type} is built by transformers: pip install 'normlab[models]'."
        ) from error
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    other = _OTHERS.get(model_type)
    own = other.options if other else {**TINY, **_ADDED.get(model_type, {})}
    config = AutoConfig.for_model(model_type, **{**own, **options})
    causal = other is None and model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    auto: Any = AutoModelForCausalLM if causal else AutoModel
    model: nn.Module = auto.from_config(config)
    return model.eval()


def tiny_inputs(model: Any) -> dict[str, Any]:
    """Random keywords for a call of what `build_tiny` built.

    They are 2 sequences of 7 tokens, 2 images or 2 sounds.
    """
    # Ids from 3 on: 0 to 2 are padding, beginning and end, which some types treat apart.
    ids = torch.randint(3, TINY["vocab_size"], (2, 7))
    other = _OTHERS.get(model.config.model_type)
    # A cache would be one more output, and work that nothing here looks at.
    inputs: dict[str, Any] = {model.main_input_name: ids, "use_cache": False}
    if other:
        inputs = {model.main_input_name: torch.randn(other.shape)}
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids[:, :5]
    return inputs
