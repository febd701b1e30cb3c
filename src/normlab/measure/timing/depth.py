"""One block of a language model at inference, and its two norms alone: a deep model repeats it,
layer by layer."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.measure.timing.harness import Sides
from normlab.measure.timing.layers import APART, Cell, build

HEAD = 64  # channels of an attention head
PAST = 512  # tokens that a decoding step attends to
Norms = tuple[nn.Module, nn.Module]


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)): pre-norm, no biases, 12 C² weights. Shape:
    (N, T, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, norms: Norms, past: tuple[Tensor, Tensor] | None) -> Tensor:
        n, t, c = x.shape
        heads = (
            self.qkv(norms[0](x)).view(n, t, 3, c // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        )  # (3, N, heads, T, HEAD)
        query, key, value = heads
        if past is not None:  # one token each, after those in the cache
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        # With a cache the query sees all keys; is_causal would leave it the first one only.
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        x = x + self.out(attended.transpose(1, 2).reshape(n, t, c))
        return x + self.down(F.gelu(self.up(norms[1](x))))  # type: ignore[no-any-return]


def sides(
    implementation: str,
    shape: tuple[int, int, int],
    dtype: str,
    device: str,
    backend: str = "inductor",
) -> dict[str, Sides]:
    """With RMSNorm against with LayerNorm, of a whole block and of its norms alone, on `shape`
    (N, T, C).

    T = 1 is a decoding step over a cache of PAST tokens, more are a prefill. All blocks have the
    same weights, in the same place; `compiled` compiles the block with its norms, and for the norms
    alone these.
    """
    n, t, width = shape
    cell = Cell(shape, dtype, "forward", device=device)
    x = cell.tensor()
    block = Block(width).to(device, x.dtype)
    past = None
    if t == 1:
        # Any keys do: the time does not depend on them.
        keys, values = torch.randn(2, n, width // HEAD, PAST, HEAD, dtype=x.dtype, device=device)
        past = keys, values
    run = (
        torch.compile(block, backend=backend, dynamic=False, fullgraph=True, **APART)
        if implementation == "compiled"
        else block
    )

    def pair(kind: str) -> Norms:
        one, other = (build(kind, implementation, cell, backend) for _ in range(2))
        assert one is not None and other is not None, f"no {implementation} {kind}"
        return one, other

    def whole(norms: Norms) -> Callable[[], object]:
        def call() -> object:
            with torch.no_grad():
                return run(x, norms, past)

        return call

    def alone(norms: Norms) -> Callable[[], object]:
        def call() -> object:
            with torch.no_grad():
                return norms[0](x), norms[1](x)

        return call

    pairs = [pair(kind) for kind in ("rmsnorm", "layernorm", "layernorm")]
    return {"block": Sides(*map(whole, pairs)), "norms": Sides(*map(alone, pairs))}
