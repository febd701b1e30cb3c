"""Transformers with every placement of the norms: causal language model, masked-token model, classifier of texts."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.data.documents import PAD
from normlab.errors import NormLabError, choices
from normlab.models.attention import Attention, Cache, Visibility
from normlab.models.layers import NormFactory, normal_


@dataclass(frozen=True)
class Slots:
    """Where norms stand around a branch, and DeepNorm's two halves."""

    before: bool = False  # the branch
    after: bool = False  # it
    total: bool = False  # after the residual sum
    alpha: bool = False  # scale the residual
    beta: bool = False  # scale the initial weights

    @property
    def last(self) -> bool:
        """Whether the stream is left without a norm, so that one stands before the head."""
        return not self.total


PLACEMENTS = {
    "pre": Slots(before=True),  # Xiong et al. 2020
    "post": Slots(total=True),  # Vaswani et al. 2017
    "sandwich": Slots(before=True, after=True),  # Ding et al. 2021; Peri-LN of Kim et al. 2025
    "deepnorm": Slots(total=True, alpha=True, beta=True),  # Wang et al. 2022
    "deepnorm_alpha": Slots(total=True, alpha=True),
    "deepnorm_beta": Slots(total=True, beta=True),
}
INITS = ("gpt2", "xavier")
PADDINGS = ("counted", "masked", "zeroed")


class MLPBranch(nn.Module):
    """Linear, GELU, linear. Shape: (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, ratio * width, bias=False)
        self.out = nn.Linear(ratio * width, width, bias=False)

    def forward(self, x: Tensor, visible: Visibility) -> Tensor:
        return self.out(F.gelu(self.up(x)))


class Residual(nn.Module):
    """total(alpha x + after(branch(scale before(x)))), with the identity for a norm that `slots` leaves out."""

    def __init__(
        self,
        branch: nn.Module,
        slots: Slots,
        norm: NormFactory,
        width: int,
        layout: str,
        alpha: float,
        scale: float,
    ) -> None:
        super().__init__()
        self.before = norm(width, layout=layout) if slots.before else None
        self.branch = branch
        self.after = norm(width, layout=layout) if slots.after else None
        self.total = norm(width, layout=layout) if slots.total else None
        self.alpha = alpha
        self.scale = scale

    def forward(self, x: Tensor, visible: Visibility) -> Tensor:
        y = x if self.before is None else visible.normalise(self.before, x)
        y = self.branch(y if self.scale == 1 else y * self.scale, visible)
        if self.after is not None:
            y = visible.normalise(self.after, y)
        x = torch.add(y, x, alpha=self.alpha)
        return x if self.total is None else visible.normalise(self.total, x)


class Block(nn.Module):
    """Attention, then an MLP, each as a residual branch with its norms. Shape: (N, T, C) -> (N, T, C)."""

    def __init__(self, attention: Residual, mlp: Residual) -> None:
        super().__init__()
        self.attention = attention
        self.mlp = mlp

    def forward(self, x: Tensor, visible: Visibility) -> Tensor:
        return self.mlp(self.attention(x, visible), visible)


class Transformer(nn.Module):
    """Learned positions and `depth` blocks; by default GPT-2's arrangement (Radford et al. 2019), pre-LN, tied head.

    Linear layers have no biases, so that norms differ by their own shift only.

    Args:
        input_shape: (context,), and for "masked" and "documents" (context, vocabulary).
        num_outputs: vocabulary, or for "documents" classes.
        modality: "text", causal; "masked", bidirectional with a prediction for each token; "documents", bidirectional,
            with one prediction from the mean over the tokens. In these two PAD tokens are never attended to.
        placement: "pre" x + f(n(x)), "post" n(x + f(x)), "sandwich" x + n(f(n(x))), or "deepnorm" n(alpha x + f(x))
            with alpha = (2 depth)^(1/4) and initial values, outputs and MLP weights times beta = (8 depth)^(-1/4); of
            these "deepnorm_alpha" and "deepnorm_beta" have one each. With "pre" and "sandwich" a norm stands before
            the head.
        init: "gpt2", N(0, 0.02²), for the projections back into the stream N(0, 0.02² / (2 depth)); "xavier",
            2 / (fan_in + fan_out) as variance, embeddings N(0, 1 / width), their sum times sqrt(width).
        qk_norm: queries and keys are normalized in each head.
        layer_scaling: the norm before a branch of block l (from 1) is followed by 1 / sqrt(l) (Sun et al. 2025).
        tied: the head's weights are the embedding's; classes have a head of their own in any case.
        padding: what norms see of PAD tokens: "counted", "zeroed" or "masked" as in Visibility.of_valid.

    Shape: (N, T) token ids -> (N, T, vocabulary) or (N, classes) logits; T at most the context.
    Raises NormLabError for an unknown choice, heads that do not divide the width, and options without effect.
    """

    modalities: ClassVar[tuple[str, ...]] = ("text", "masked", "documents")
    mixes_positions: ClassVar[bool] = True  # its norms are given several positions at once

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_outputs: int,
        norm: NormFactory,
        generator: torch.Generator,
        modality: str = "text",
        depth: int = 3,
        width: int = 64,
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
        placement, init, padding = (
            getattr(option, "value", option) for option in (placement, init, padding)
        )
        _check(modality, width, num_heads, mlp_ratio, placement, init, layer_scaling, padding)
        self.modality = modality
        self.padding = padding
        self.context = input_shape[0]
        vocabulary = num_outputs if modality == "text" else input_shape[1]
        slots = PLACEMENTS[placement]
        layout = "NC" if padding == "masked" else "NTC"
        alpha = (2 * depth) ** 0.25 if slots.alpha else 1.0

        def residual(branch: nn.Module, layer: int) -> Residual:
            scale = layer**-0.5 if layer_scaling else 1.0
            return Residual(branch, slots, norm, width, layout, alpha, scale)

        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(self.context, width)
        self.embedding_scale = math.sqrt(width) if init == "xavier" else 1.0
        self.blocks = nn.ModuleList(
            Block(
                residual(Attention(width, num_heads, norm, layout, qk_norm), layer),
                residual(MLPBranch(width, mlp_ratio), layer),
            )
            for layer in range(1, depth + 1)
        )
        self.norm = norm(width, layout=layout) if slots.last else None
        tied = tied and modality != "documents"
        if tied and vocabulary != num_outputs:
            raise NormLabError(
                f"model.tied=true: {num_outputs} outputs are not the {vocabulary} tokens; pass model.tied=false."
            )
        self.head = None if tied else nn.Linear(width, num_outputs, bias=False)
        _initialise(self, init, depth, (8 * depth) ** -0.25 if slots.beta else 1.0, generator)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """With a `cache`, "text" only: `ids` follow on the tokens that it holds, and are added to it."""
        start = 0 if cache is None else cache.length
        end = start + ids.shape[1]
        if end > self.context:
            raise NormLabError(
                f"{end} tokens do not fit into the model's context: pass at most {self.context}."
            )
        x = self.tokens(ids) + self.positions.weight[start:end]
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
        return F.linear(x, self.tokens.weight) if self.head is None else self.head(x)


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
            std = math.sqrt(2 / (inputs + (outputs // 3 if name.endswith(".qkv") else outputs)))
        normal_(module.weight, std, generator)
        if beta != 1 and name.endswith((".out", ".up")):
            module.weight.mul_(beta)
        elif beta != 1 and name.endswith(".qkv"):
            module.weight.chunk(3)[2].mul_(
                beta
            )  # queries and keys decide where attention looks, not how much comes


def _check(
    modality: str,
    width: int,
    num_heads: int,
    mlp_ratio: int,
    placement: str,
    init: str,
    layer_scaling: bool,
    padding: str,
) -> None:
    for what, value, valid in (
        ("modality", modality, Transformer.modalities),
        ("model.placement", placement, PLACEMENTS),
        ("model.init", init, INITS),
        ("model.padding", padding, PADDINGS),
    ):
        if value not in valid:
            raise choices(what, value, valid)
    if num_heads < 1 or width % num_heads:
        divisors = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
        raise NormLabError(
            f"model.num_heads={num_heads} does not divide model.width={width}: use one of {divisors}."
        )
    if mlp_ratio < 1:
        raise NormLabError(f"model.mlp_ratio={mlp_ratio}: give a whole number of at least 1.")
    if layer_scaling and not PLACEMENTS[placement].before:
        raise NormLabError(
            f"model.layer_scaling=true scales the norm before each branch, which placement={placement} has not: "
            "choose placement=pre or sandwich."
        )
    if modality == "text" and padding != "counted":
        raise NormLabError(
            f"model.padding={padding}: this text has no padding; leave it at counted."
        )
