"""Networks of the library `transformers` from small configurations, whatever their type."""

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import torch
from torch import nn

from normlab.errors import NormLabError
from normlab.tools.forward_pass import error_in_words
from normlab.tools.tiny_transformers import _ADDED, _OTHERS, TINY, build_tiny

MOST_PARAMETERS = 150_000_000  # of a network that counts as small

# Patterns of the names of a configuration's numbers, and the most that a number becomes. The first
# one that fits counts.
_SMALL: tuple[tuple[str, int], ...] = (
    (r"vocab_size", TINY["vocab_size"]),
    (r"image_size|img_size", 64),
    (r"(per_tok|top_?k|_topk|experts_per_token|topk_group|n_group)$", 2),
    (r"expert.*(size|dim)$", 32),
    (r"num.*experts$|n_routed_experts|n_shared_experts|num_experts.*", 4),
    (r"(num_)?.*(layers|blocks|depth|n_layer|num_stacks)$", 2),
    (r"mamba.*heads$", 8),
    (r"heads?$", 4),
    (r"max_.*position|max_source|max_target|max_seq|n_positions|context_length", 64),
    (r"(intermediate|ffn|inner|mlp|d_ff|feed_?forward).*(size|dim|dims)?$", 96),
    (r"(lora_rank|kv_lora|q_lora)", 16),
    (r"(head_dim|d_kv|v_head|qk_nope|qk_rope|dim_head|.*head_size|time_step_rank|state_size)", 16),
    (r"(hidden|embed|embedding|model|d_model|n_embd|projection|width).*(size|dim|dims|d)?$", 64),
    (r".*(_dim|_size|_width)$", 64),
)
# Numbers that say what the input is, or how it is cut, stay as they are.
_KEPT = re.compile(
    r"patch|kernel|stride|channels|window|temporal|frames|conv|pool|sampl|rate|hop|fft|mel|bins"
    r"|token_type|type_vocab|chunk|block_size|expansion|factor|num_labels|groups"
)

# Numbers that some types leave to whoever trains them.
_UNSET = {
    **{"n_routed_experts": 4, "num_experts": 4, "num_local_experts": 4, "n_shared_experts": 1},
    **{"num_experts_per_tok": 2, "moe_intermediate_size": 32},
}


def build_small(model_type: str) -> Iterator[nn.Module]:
    """Networks of `model_type`, smallest first, in eval mode: the next where one does not run.

    Raises:
        NormLabError: none can be built with at most MOST_PARAMETERS; it says why.
    """
    import normlab.models.torchvision_operators  # noqa: F401  (transformers imports torchvision)

    ways = [_shrunk, _as_it_is]
    known = model_type in _OTHERS or model_type in _ADDED
    ways = [build_tiny, *ways] if known else [*ways[:1], build_tiny, *ways[1:]]
    reasons: list[str] = []
    built = 0
    for way in ways:
        torch.manual_seed(0)
        try:
            refuse_large(way, model_type)
            model = way(model_type)
        except Exception as error:  # whatever other people's networks raise
            told = isinstance(error, NormLabError)
            reasons.append(str(error) if told else error_in_words(error))
            continue
        built += 1
        yield model
    if not built:
        raise NormLabError(f"no small configuration: {reasons[0]}")


def refuse_large(build: Callable[[str], nn.Module], name: str) -> None:
    """Raises NormLabError for a network that is not small; counted without memory for it."""
    with torch.device("meta"):
        try:
            model = build(name)
        except (NotImplementedError, RuntimeError):  # of code that reads values of tensors
            return
    size = sum(parameter.numel() for parameter in model.parameters())
    if size > MOST_PARAMETERS:
        raise NormLabError(f"{size / 1e6:.0f} million parameters")


def _as_it_is(model_type: str) -> nn.Module:
    from transformers import AutoConfig

    return _from_config(AutoConfig.for_model(model_type))


def _shrunk(model_type: str) -> nn.Module:
    from transformers import AutoConfig

    config: Any = AutoConfig.for_model(model_type)
    shrink(config)
    return _from_config(config)


def _from_config(config: Any) -> nn.Module:
    from transformers import AutoModel

    auto: Any = AutoModel
    model: nn.Module = auto.from_config(config)
    return model.eval()


def shrink(config: Any) -> None:
    """Small numbers in a configuration and in those inside it, in place."""
    ids = count(3)  # tokens 0 to 2 are padding, beginning and end
    for name, value in list(vars(config).items()):
        if hasattr(value, "to_dict"):
            shrink(value)
            continue
        if isinstance(value, dict) and name.removeprefix("_").startswith("rope_"):
            # Of half a head of 16, or of the part of it that turns.
            part = value.get("partial_rotary_factor", 1.0)
            value["mrope_section"] = [2, 3, 3] if part == 1.0 else [1, 1, 2]
        new = _small(name.removeprefix("_"), value, ids)
        if new is not value:
            with suppress(Exception):  # of a configuration that checks each number alone
                setattr(config, name, new)
    layers = getattr(config, "num_hidden_layers", None)
    types = getattr(config, "layer_types", None)
    if isinstance(layers, int) and isinstance(types, list):
        config.layer_types = _kinds(types, layers)


def _kinds(types: list[Any], layers: int) -> list[Any]:
    """As many types as there are layers, and different ones where there are."""
    different = list(dict.fromkeys(types))
    return [different[place % len(different)] for place in range(layers)]


def _small(name: str, value: Any, ids: Iterator[int]) -> Any:
    if value is None:
        return _UNSET.get(name)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _small_number(name, value, ids)
    if isinstance(value, list | tuple) and value and all(type(one) is int for one in value):
        return type(value)(_small_list(name, list(value)))
    return copy.copy(value)


def _small_number(name: str, value: int, ids: Iterator[int]) -> int:
    if name.endswith(("token_id", "token_index", "_token")) or name in ("pad_idx", "bos", "eos"):
        fixed = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}.get(name)
        # In order, so that two marks of a text are not one.
        return min(value, next(ids) if fixed is None else fixed)
    if _KEPT.search(name):
        return value
    for pattern, most in _SMALL:
        if re.fullmatch(pattern, name) or re.search(pattern, name):
            return min(value, most)
    return value


def _small_list(name: str, values: list[int]) -> list[int]:
    """Widths that grow as before from 16 on, one block in each stage, few heads."""
    if re.search(r"depths|num_layers|blocks|layers$|layer_repeats", name):
        return [min(value, 1) for value in values]
    if re.search(r"hidden_sizes|embed_dims|dims|widths?$|channels$|hidden_dim", name):
        first = max(min(values), 1)
        return [16 * max(value // first, 1) for value in values]
    return values
