"""Self-attention, and what a forward pass lets each of its tokens see."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.models.layers import NormFactory


@dataclass
class Cache:
    """Keys and values of the tokens that a causal model has read.

    Both are (N, heads, T, C / heads), per attention layer.
    """

    length: int = 0
    layers: dict[nn.Module, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def extend(self, layer: nn.Module, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Those of all tokens, the new ones last."""
        if layer in self.layers:
            old_k, old_v = self.layers[layer]
            k, v = torch.cat((old_k, k), dim=2), torch.cat((old_v, v), dim=2)
        self.layers[layer] = k, v
        return k, v


@dataclass(frozen=True)
class Visibility:
    """What attention and norms see in one forward pass, worked out once for all layers."""

    causal: bool = False  # as many queries as keys, none of which sees a later key
    # Added to the attention scores: 0, or -inf for a key that is not seen
    scores: Tensor | None = None
    padding: Tensor | None = None  # (N, T), true where norms see zeros
    rows: Tensor | None = None  # (M,), places among the N * T tokens of those that norms see
    cache: Cache | None = None

    @classmethod
    def after(cls, cache: Cache | None, new: int, like: Tensor) -> "Visibility":
        """Of `new` tokens that follow on those in `cache`, each seeing itself and those before
        it."""
        # is_causal of torch's attention aligns queries and keys at the first one: right only where
        # they are equally many.
        if cache is None or cache.length == 0:
            return cls(causal=True, cache=cache)
        # The newest token sees everything: no mask at all.
        if new == 1:
            return cls(cache=cache)
        # Query i is token length + i: hidden from it is what lies above the diagonal of that token.
        whole = torch.ones(new, cache.length + new, dtype=torch.bool, device=like.device)
        return cls(scores=_hidden(whole.triu(cache.length + 1), like), cache=cache)

    @classmethod
    def of_valid(cls, valid: Tensor, padding: str, like: Tensor) -> "Visibility":
        """Of whole sequences whose tokens are `valid` (N, T): attention is to those.

        padding: what norms see: `counted`, every position; `zeroed`, the same with zeros at those
            that are not valid; `masked`, the valid ones only.
        """
        absent = ~valid
        return cls(
            # (N, 1, 1, T): the same keys for every head and query.
            scores=_hidden(absent, like)[:, None, None, :],
            padding=absent if padding == "zeroed" else None,
            # Indices, found once: indexing by a mask waits for the device, and every norm would.
            rows=valid.flatten().nonzero().squeeze(1) if padding == "masked" else None,
        )

    def normalise(self, norm: nn.Module, x: Tensor) -> Tensor:
        """`norm` of x (N, T, C), or of x (N, T, heads, C) with each head as a sequence of its own.

        The same shape. Masked padding comes out as zeros: a norm is then given rows (M, C), and
        knows nothing of it.
        """
        if self.rows is not None:
            flat = x.flatten(0, 1)
            seen = flat.index_select(0, self.rows)
            # (M, C), or (M * heads, C): each head is a row, as in the layout "NC".
            y = norm(seen.flatten(0, -2)).view_as(seen)
            padded: Tensor = y.new_zeros(flat.shape).index_copy_(0, self.rows, y).view_as(x)
            return padded
        if self.padding is not None:
            # (N, T, 1) or (N, T, 1, 1)
            x = x.masked_fill(self.padding.view(*x.shape[:2], *[1] * (x.ndim - 2)), 0)
        if x.ndim == 3:
            normalised: Tensor = norm(x)
            return normalised
        heads = x.transpose(1, 2)  # (N, heads, T, C)
        by_head: Tensor = norm(heads.flatten(0, 1))  # (N * heads, T, C)
        return by_head.view(heads.shape).transpose(1, 2)


def _hidden(keys: Tensor, like: Tensor) -> Tensor:
    """What hides `keys`, where it is added to attention scores: -inf at those, 0 elsewhere."""
    return like.new_zeros(keys.shape).masked_fill_(keys, float("-inf"))


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017). Shape: (N, T, C) -> (N, T, C).

    qk_norm: the norm over the channels of each head of queries and keys (Henry et al. 2020;
    Dehghani et al. 2023), with one gain for all heads.
    """

    def __init__(
        self, width: int, num_heads: int, norm: NormFactory, layout: str, qk_norm: bool
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_q = norm(width // num_heads, layout=layout) if qk_norm else None
        self.norm_k = norm(width // num_heads, layout=layout) if qk_norm else None

    def forward(self, x: Tensor, visible: Visibility) -> Tensor:
        n, t, c = x.shape
        # Split before the view: its gradient is one concatenation in the layout that the linear
        # layer reads.
        q, k, v = (each.view(n, t, self.num_heads, -1) for each in self.qkv(x).split(c, dim=2))
        if self.norm_q is not None and self.norm_k is not None:
            q, k = visible.normalise(self.norm_q, q), visible.normalise(self.norm_k, k)
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))  # (N, heads, T, C / heads) each
        # After the norm of the keys: it sees each token once, and what is kept needs no norm again.
        if visible.cache is not None:
            k, v = visible.cache.extend(self, k, v)
        x = F.scaled_dot_product_attention(
            q, k, v, attn_mask=visible.scores, is_causal=visible.causal
        )
        y: Tensor = self.out(x.transpose(1, 2).reshape(n, t, c))
        return y
