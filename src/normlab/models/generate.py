"""Text from a causal model, one token at a time."""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.models.attention import Cache
from normlab.norms import Norm


@torch.inference_mode()
def generate(
    model: nn.Module,
    prompt_ids: Tensor,
    length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """`length` tokens that follow on `prompt_ids`, each drawn from softmax(logits / temperature).

    Shape: int64 (N, T) -> (N, length), T at least 1. In eval mode. temperature 0 takes the most
    likely token; `top_k` leaves only so many to draw from.

    A model with a `context` sees at most its last `context` tokens. Keys and values are kept from
    token to token until the context is full; from then on every token moves to another position,
    and all of them are read anew. So they are where a norm does not treat tokens one by one, and by
    models that keep no keys.

    Raises:
        NormLabError: nothing to go on from, a negative temperature or length, top_k below 1.
    """
    if prompt_ids.ndim != 2 or not prompt_ids.shape[1]:
        raise NormLabError(
            f"a prompt of shape {tuple(prompt_ids.shape)}: pass ids (N, T) of at least one token "
            "each."
        )
    if length < 0:
        raise NormLabError(f"length={length}: give 0 or more tokens.")
    if not temperature >= 0:
        raise NormLabError(
            f"temperature={temperature}: give 0 for the most likely token, or a number above it."
        )
    if top_k is not None and top_k < 1:
        raise NormLabError(f"top_k={top_k}: give the number of tokens to draw from, at least 1.")
    training = model.training
    model.eval()
    draw = partial(_draw, temperature=temperature, top_k=top_k, generator=generator)
    try:
        return _generate(model, prompt_ids, length, draw)
    finally:
        model.train(training)


def _generate(
    model: nn.Module, ids: Tensor, length: int, draw: Callable[[Tensor], Tensor]
) -> Tensor:
    start = ids.shape[1]
    context = getattr(model, "context", start + length)
    cached = hasattr(model, "context") and token_wise(model, context)
    cache = Cache()
    for _ in range(length):
        # Positions are learned and absolute: when the window moves, no kept key is right any more.
        anew = not cached or ids.shape[1] > context
        logits = model(ids[:, -context:]) if anew else model(ids[:, cache.length :], cache)
        ids = torch.cat((ids, draw(logits[:, -1])), dim=1)
    return ids[:, start:]


def _draw(
    logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> Tensor:
    """(N, vocabulary) -> (N, 1)."""
    if temperature == 0:
        return logits.argmax(1, keepdim=True)
    # In float32: the 8 bits of bfloat16 are few for probabilities over a vocabulary.
    logits = logits.float() / temperature
    if top_k is not None and top_k < logits.shape[1]:
        values, places = logits.topk(top_k)
        return places.gather(1, torch.multinomial(values.softmax(1), 1, generator=generator))
    return torch.multinomial(logits.softmax(1), 1, generator=generator)


@torch.inference_mode()
def token_wise(model: nn.Module, steps: int) -> bool:
    """Whether each norm of `model` gives a token what it would give it alone.

    In the mode that it is in; nothing of it is changed. Found out by trying: of `steps` tokens, a
    norm over several positions or with statistics for each would tell which one it has.
    """
    for norm in model.modules():
        # Rows ("NC") are what masked padding gives norms, and no causal model has padding.
        if not isinstance(norm, Norm) or norm.layout != "NTC":
            continue
        norm = copy.deepcopy(norm)  # in train mode, trying would move running statistics
        like = next(model.parameters())
        noise = torch.Generator().manual_seed(0)
        # Drawn on the CPU and then moved: a generator belongs to one device.
        x = torch.randn(1, steps, norm.num_features, generator=noise, dtype=like.dtype)
        x = x.to(like.device)
        try:
            alone = torch.cat([norm(token) for token in x.split(1, dim=1)], dim=1)
        except NormLabError:  # one token is too few for its statistics
            return False
        if not torch.allclose(norm(x), alone, rtol=1e-4, atol=1e-4):
            return False
    return True
