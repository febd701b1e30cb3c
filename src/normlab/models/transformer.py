"""Transformers with every placement of the norms.

A causal language model, a masked-token model and a classifier of texts.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.errors import NormLabError, choices
from normlab.models.attention import Attention, Cache, Visibility
from normlab.models.branches import PLACEMENTS, Block, MLPBranch, Residual
from normlab.models.layers import PAD, NormFactory, normal_

INITS = ("gpt2", "xavier")
PADDINGS = ("counted", "masked", "zeroed")


class Transformer(nn.Module):
    """Learned positions and `depth` blocks; by default GPT-2's arrangement (Radford et al. 2019).

    That is pre-LN, with a tied head. Linear layers have no biases, so that norms differ by their
    own shift only.

    Args:
        input_shape: (context,), and for "masked" and "documents" (context, vocabulary).
        num_outputs: vocabulary, or for "documents" classes.
        modality: "text", causal; "masked", bidirectional with a prediction for each token;
            "documents", bidirectional, with one prediction from the mean over the tokens. In these
            two PAD tokens are never attended to.
        placement: "pre" x + f(n(x)), "post" n(x + f(x)), "sandwich" x + n(f(n(x))), or "deepnorm"
            n(alpha x + f(x)) with alpha = (2 depth)^(1/4) and initial values, outputs and MLP
            weights times beta = (8 depth)^(-1/4); of these "deepnorm_alpha" and "deepnorm_beta"
            have one each. With "pre" and "sandwich" a norm stands before the head.
        init: "gpt2", N(0, 0.02²), for the projections back into the stream
            N(0, 0.02² / (2 depth)); "xavier", 2 / (fan_in + fan_out) as variance, embeddings
            N(0, 1 / width), their sum times sqrt(width).
        qk_norm: queries and keys are normalized in each head.
        layer_scaling: the norm before a branch of block l (from 1) is followed by 1 / sqrt(l) (Sun
            et al. 2025).
        tied: the head's weights are the embedding's; classes have a head of their own in any case.
        padding: what norms see of PAD tokens: "counted", "zeroed" or "masked" as in
            Visibility.of_valid.

    Shape: (N, T) token ids -> (N, T, vocabulary) or (N, classes) logits; T at most the context.

    Raises:
        NormLabError: an unknown choice, heads that do not divide the width, options without effect.
    """

    modalities: ClassVar[tuple[str, ...]] = ("text", "masked", "documents")
    mixes_positions: ClassVar[bool] = True  # its norms are given several positions at once
    input_norms: ClassVar = ("norm",)  # before the head; `Residual` names its own

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_outputs: int,
        norm: NormFactory,
        generator: torch.Generator,
        *,
        modality: str = "text",
        depth: int,
        width: int,
        num_heads: int = 4,
        mlp_ratio: int = 4,
        placement: str = "pre",
        init: str = "gpt2",
        qk_norm: bool = False,
        layer_scaling: bool = False,
        tied: bool = True,
        padding: str = "counted",
    ) -> None:
        super().__init__()
        _check_choices(modality, placement, init, padding, layer_scaling=layer_scaling)
        _check_sizes(width, num_heads, mlp_ratio)
        self.modality = modality
        self.padding = padding
        self.context = input_shape[0]
        vocabulary = num_outputs if modality == "text" else input_shape[1]
        slots = PLACEMENTS[placement]
        # Masked norms are given the valid tokens as rows: see Visibility.normalise.
        layout = "NC" if padding == "masked" else "NTC"
        alpha = (2 * depth) ** 0.25 if slots.alpha else 1.0

        def width_norm() -> nn.Module:
            return norm(width, layout=layout)

        def block(layer: int) -> Block:
            scale = layer**-0.5 if layer_scaling else 1.0
            attention = Attention(width, num_heads, norm, layout, qk_norm)
            first = Residual(attention, slots, width_norm, alpha=alpha, scale=scale)
            mlp = MLPBranch(width, mlp_ratio)
            return Block(first, Residual(mlp, slots, width_norm, alpha=alpha, scale=scale))

        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(self.context, width)
        self.embedding_scale = math.sqrt(width) if init == "xavier" else 1.0
        self.blocks = nn.ModuleList(block(layer) for layer in range(1, depth + 1))
        # A stream whose every sum is normalized needs no further norm before the head.
        self.norm = width_norm() if slots.last else None
        self.head: nn.Linear | None = None
        if modality == "documents" or not tied:
            self.head = nn.Linear(width, num_outputs, bias=False)
        elif vocabulary != num_outputs:
            raise NormLabError(
                f"model.tied=true: {num_outputs} outputs are not the {vocabulary} tokens; pass "
                "model.tied=false."
            )
        _initialise(self, init, depth, (8 * depth) ** -0.25 if slots.beta else 1.0, generator)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """With a `cache`, "text" only, `ids` follow on the tokens in it, and are added to it."""
        start = 0 if cache is None else cache.length
        end = start + ids.shape[1]
        if end > self.context:
            raise NormLabError(
                f"{end} tokens do not fit into the model's context: pass at most {self.context}."
            )
        x = self.tokens(ids) + self.positions.weight[start:end]
        # As in Vaswani et al. 2017, section 3.4: embeddings drawn at width^-1/2 have deviation 1.
        if self.embedding_scale != 1:
            x = x * self.embedding_scale
        valid = None if self.modality == "text" else ids != PAD
        if valid is None:
            visible = Visibility.after(cache, ids.shape[1], like=x)
        else:
            visible = Visibility.of_valid(valid, self.padding, like=x)
        for block in self.blocks:
            x = block(x, visible)
        if cache is not None:
            cache.length = end
        if self.norm is not None:
            x = visible.normalise(self.norm, x)
        if self.modality == "documents" and valid is not None:
            share = valid.to(x.dtype) / valid.sum(1, keepdim=True)
            x = torch.einsum("ntc,nt->nc", x, share)  # mean over the valid tokens
        if self.head is None:
            return F.linear(x, self.tokens.weight)
        logits: Tensor = self.head(x)
        return logits


@torch.no_grad()
def _initialise(
    model: Transformer, init: str, depth: int, beta: float, generator: torch.Generator
) -> None:
    """One draw for each matrix, in module order; beta comes after, so that it changes no draw."""
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Embedding):
            continue
        if init == "gpt2":
            std = 0.02 / math.sqrt(2 * depth) if name.endswith(".out") else 0.02
        elif isinstance(module, nn.Embedding):
            std = module.embedding_dim**-0.5
        else:
            outputs, inputs = module.weight.shape
            # Queries, keys and values are three matrices in one: fan_out is that of each.
            std = math.sqrt(2 / (inputs + (outputs // 3 if name.endswith(".qkv") else outputs)))
        normal_(module.weight, std, generator)
        if beta != 1 and name.endswith((".out", ".up")):
            module.weight.mul_(beta)
        elif beta != 1 and name.endswith(".qkv"):
            # Values only: queries and keys decide where attention looks, not how much comes.
            module.weight.chunk(3)[2].mul_(beta)


def _check_choices(
    modality: str, placement: str, init: str, padding: str, *, layer_scaling: bool
) -> None:
    for what, value, valid in (
        ("modality", modality, Transformer.modalities),
        ("model.placement", placement, PLACEMENTS),
        ("model.init", init, INITS),
        ("model.padding", padding, PADDINGS),
    ):
        if value not in valid:
            raise choices(what, value, valid)
    if layer_scaling and not PLACEMENTS[placement].before:
        raise NormLabError(
            "model.layer_scaling=true scales the norm before each branch, which "
            f"placement={placement} has not: choose placement=pre or sandwich."
        )
    if modality == "text" and padding != "counted":
        raise NormLabError(
            f"model.padding={padding}: this text has no padding; leave it at counted."
        )


def _check_sizes(width: int, num_heads: int, mlp_ratio: int) -> None:
    if num_heads < 1 or width % num_heads:
        divisors = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
        raise NormLabError(
            f"model.num_heads={num_heads} does not divide model.width={width}: use one of "
            f"{divisors}."
        )
    if mlp_ratio < 1:
        raise NormLabError(f"model.mlp_ratio={mlp_ratio}: give a whole number of at least 1.")
