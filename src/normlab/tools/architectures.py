"""What a network does with its norms, measured on a tiny copy of it: which layers are norms, of what kind, and where.

Nothing is read from names. A norm is a layer whose output stays the same when its input is multiplied by a constant.
Where it stands follows from which tensor became part of which other in a forward pass.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.tools.dataflow import Flow

TINY = {
    "vocab_size": 99, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
    "intermediate_size": 96, "max_position_embeddings": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_MORE: dict[str, dict[str, Any]] = {"gptj": {"rotary_dim": 16}}
_OTHER: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {  # those that read no tokens: options, and input shape
    "vit": ({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 64}, (2, 3, 64, 64)),
    "swin": ({"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "image_size": 64}, (2, 3, 64, 64)),
    "convnext": ({"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 2, 1], "image_size": 64}, (2, 3, 64, 64)),
    "resnet": ({"embedding_size": 8, "hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 2, 1]}, (2, 3, 64, 64)),
    "whisper": (
        {"vocab_size": 99, "pad_token_id": 0, "d_model": 64, "encoder_layers": 2, "decoder_layers": 2,
         "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_mel_bins": 16, "max_source_positions": 20},
        (2, 16, 40),
    ),
    "wav2vec2": (
        {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "conv_dim": [32] * 7}, (2, 4000)
    ),
    "dac": ({"encoder_hidden_size": 8, "decoder_hidden_size": 64, "codebook_size": 16}, (2, 1, 4096)),
    "univnet": ({"model_hidden_channels": 8}, (2, 10, 100)),
}  # fmt: skip
_PLACEMENTS = {
    frozenset({"before"}): "pre",
    frozenset({"after sum"}): "post",
    frozenset({"before", "after branch"}): "sandwich",
    frozenset({"after branch"}): "output",
    frozenset(): "none",
}


class Behaviour(NamedTuple):
    """What a norm does with its input, whatever it is called: LayerNorm centres and shifts, RMSNorm does neither."""

    centres: bool
    shifts: bool
    by_token: bool  # each vector along the last dimension by itself


@dataclass(frozen=True)
class NormCall:
    """A norm at work: `role` is before, after branch, after sum, embedding, last or inner."""

    module: str
    kind: str  # its class
    behaviour: Behaviour
    role: str


@dataclass(frozen=True)
class Architecture:
    """`branches` holds, for each residual sum in order, where its norms are; `placement` is their name if all agree.

    `operations` are those with a weight of two or more dimensions (linear layers, convolutions) that read what another
    one or an embedding made; `normed_operations` those that no such value reaches without passing a norm.
    """

    norms: tuple[NormCall, ...]
    functional: int  # norms that are a function's call and no layer, of whatever kind
    branches: tuple[frozenset[str], ...]
    placement: str  # pre, post, sandwich, output, none or mixed
    operations: int
    normed_operations: int

    @property
    def final_norm(self) -> bool:
        """A norm of the last sum that is not a block's own."""
        return self.placement != "post" and any(norm.role == "last" for norm in self.norms)


def library() -> dict[str, str]:
    """For a trial's metrics["data"]: the version whose implementations are looked at."""
    from importlib.metadata import version

    return {
        "name": f"transformers {version('transformers')}",
        "fingerprint": version("transformers"),
    }


def build(model_type: str, **options: Any) -> nn.Module:
    """The reference implementation of `model_type` in `transformers`, tiny, untrained, in eval mode.

    With the head of a causal language model if it has one. `options` go over those of this file. Needs no network.

    Raises:
        NormLabError: `transformers` is not installed.
        ValueError: a type that the installed `transformers` does not know.
    """

    # isort: split
    try:
        from transformers import AutoConfig, AutoModel, AutoModelForCausalLM
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        from transformers.utils import logging
    except ImportError as error:
        raise NormLabError(
            f"model_type={model_type} is built by transformers: pip install 'normlab[models]'."
        ) from error
    logging.set_verbosity_error()
    own = _OTHER[model_type][0] if model_type in _OTHER else {**TINY, **_MORE.get(model_type, {})}
    config = AutoConfig.for_model(model_type, **{**own, **options})
    text = model_type not in _OTHER and model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    auto = AutoModelForCausalLM if text else AutoModel
    return auto.from_config(config).eval()


def example(model: Any) -> dict[str, Any]:
    """Random input of a network of `build`: 2 sequences of 7 tokens, 2 images or 2 sounds."""
    name, kind = model.main_input_name, model.config.model_type
    ids = torch.randint(3, TINY["vocab_size"], (2, 7))
    inputs: dict[str, Any] = (
        {name: torch.randn(_OTHER[kind][1])} if kind in _OTHER else {name: ids, "use_cache": False}
    )
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids[:, :5]
    return inputs


@torch.no_grad()
def behaviour(layer: nn.Module, x: Tensor, *more: Any, **options: Any) -> Behaviour | None:
    """What the norm `layer` does with random input of the shape of `x`; None if it is no norm."""
    layer = copy.deepcopy(layer).train()  # BatchNorm is a norm in train mode only
    for parameter in layer.parameters():
        parameter.uniform_(0.5, 1.5)  # a bias of 0 would not be seen

    def output(x: Tensor) -> Any:
        return layer(x, *more, **options)

    def same(a: Tensor, b: Tensor) -> bool:
        return torch.allclose(a, b, rtol=0.01, atol=0.01)

    x = 3 * torch.randn_like(x)
    y = output(x)
    if not isinstance(y, Tensor) or y.shape != x.shape:
        return None
    if not same(output(4 * x), y) or same(
        output(torch.randn_like(x)), y
    ):  # its scale counts, or nothing of it does
        return None
    first = (0,) * (x.dim() - 1)
    others = torch.randn_like(x)
    others[first] = x[first]
    return Behaviour(
        centres=same(output(x + 3), y),
        shifts=not same(output(torch.zeros_like(x)), torch.zeros_like(y)),
        by_token=same(output(others)[first], y[first]),
    )


@torch.no_grad()
def inspect(model: nn.Module, inputs: Mapping[str, Any]) -> Architecture:
    """What `model` does with its norms in `model(**inputs)`."""
    leaves = {name: module for name, module in model.named_modules() if not any(module.children())}
    seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    hooks = [
        module.register_forward_pre_hook(_keep_arguments(seen, name), with_kwargs=True)
        for name, module in leaves.items()
    ]
    model(**inputs)
    for hook in hooks:
        hook.remove()
    found = {
        name: behaviour(leaves[name], *args, **options) for name, (args, options) in seen.items()
    }
    norms = {name: kind for name, kind in found.items() if kind is not None}
    flow = Flow(model, {name: leaves[name] for name in norms})
    with flow:
        model(**inputs)
    flow.remove_hooks()
    roles, branches = flow.placements()
    calls = (
        NormCall(use.name, type(leaves[use.name]).__name__, norms[use.name], role)
        for use, role in zip(flow.norms, roles, strict=True)
    )
    names = {_PLACEMENTS.get(branch, "mixed") for branch in branches} or {"none"}
    placement = names.pop() if len(names) == 1 else "mixed"
    operations = len(flow.operations), sum(flow.operations)
    return Architecture(tuple(calls), flow.functional, tuple(branches), placement, *operations)


def _keep_arguments(seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]], name: str) -> Any:
    """A hook that keeps the last arguments of a layer whose first one may be an activation."""

    def keep(module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if (
            args
            and isinstance(args[0], Tensor)
            and args[0].is_floating_point()
            and args[0].dim() > 1
        ):
            seen[name] = args, options

    return keep
