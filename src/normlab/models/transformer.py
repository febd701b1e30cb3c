"""A small causal GPT."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.models.layers import NormFactory, normal_


class Attention(nn.Module):
    """Causal multi-head self-attention (Vaswani et al. 2017). Shape: (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        qkv = self.qkv(x).view(n, t, 3, self.num_heads, c // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (N, heads, T, C / heads)
        x = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(x.transpose(1, 2).reshape(n, t, c))


class MLPBranch(nn.Module):
    """Linear, GELU, linear. Shape: (N, T, C) -> (N, T, C)."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, ratio * width, bias=False)
        self.out = nn.Linear(ratio * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.gelu(self.up(x)))


class Block(nn.Module):
    """Pre-LN (Xiong et al. 2020): x + branch(norm(x)), attention then MLP."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: int, norm: NormFactory) -> None:
        super().__init__()
        self.norm1 = norm(width, layout="NTC")
        self.attention = Attention(width, num_heads)
        self.norm2 = norm(width, layout="NTC")
        self.mlp = MLPBranch(width, mlp_ratio)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """GPT-2's arrangement (Radford et al. 2019): learned positions, pre-LN blocks, a last norm, tied embedding.

    Weights are N(0, 0.02²), the two projections back into the residual stream N(0, 0.02² / 2 depth).
    Linear layers have no biases, so that norms differ by their own shift only.

    Shape: (N, T) token ids -> (N, T, vocabulary) logits; T at most the context.
    Raises NormLabError if the heads do not divide the width.
    """

    def __init__(
        self,
        context: int,
        vocabulary: int,
        norm: NormFactory,
        generator: torch.Generator,
        depth: int = 3,
        width: int = 64,
        num_heads: int = 4,
        mlp_ratio: int = 4,
    ) -> None:
        super().__init__()
        if width % num_heads:
            divisors = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
            raise NormLabError(
                f"model.num_heads={num_heads} does not divide model.width={width}: use one of {divisors}."
            )
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, num_heads, mlp_ratio, norm) for _ in range(depth)))
        self.norm = norm(width, layout="NTC")
        with torch.no_grad():
            for name, module in self.named_modules():
                if isinstance(module, nn.Linear | nn.Embedding):
                    std = 0.02 / math.sqrt(2 * depth) if name.endswith(".out") else 0.02
                    normal_(module.weight, std, generator)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        x = self.norm(self.blocks(x))
        return F.linear(x, self.tokens.weight)
