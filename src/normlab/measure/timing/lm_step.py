"""Our training step of a language model, Lightning and all, against nanoGPT's as a bare loop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.config.compose import compose
from normlab.config.schema import Config
from normlab.data import Dataset, load_data
from normlab.measure.timing.harness import Comparison, compare
from normlab.norms import kernels
from normlab.training.lightning import L
from normlab.training.setup import set_up
from normlab.training.task import Task
from normlab.training.trainer import build_trainer

# Of either side in a timing; fit itself takes 50 and so pays for Lightning less often.
CHUNK_STEPS = 10
HEADS = 4
LR, BETAS, WEIGHT_DECAY = 1e-3, (0.9, 0.95), 0.1


class GPTBlock(nn.Module):
    """ln, attention, residual, ln, MLP, residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.attn_proj = nn.Linear(width, width, bias=False)
        self.ln_2 = nn.LayerNorm(width)
        self.c_fc = nn.Linear(width, 4 * width, bias=False)
        self.mlp_proj = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).split(c, dim=2)
        q, k, v = (each.view(n, t, HEADS, c // HEADS).transpose(1, 2) for each in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).contiguous().view(n, t, c))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))  # type: ignore[no-any-return]


class GPT(nn.Module):
    """GPT-2 as nanoGPT arranges it without biases.

    Positions, blocks, a last norm, and the embedding as the head.
    """

    def __init__(self, context: int, vocabulary: int, width: int, depth: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(GPTBlock(width) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)
        for parameter in self.parameters():
            # Matrices and embeddings; gains and shifts of norms stay 1 and 0.
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)


class Turns(L.Callback):
    """Times a fit, chunk by chunk, against `bare`.

    Both run in the thread of the fit, as `compare` in another asks: the same thread, since memory
    is handed out by another allocator in each. A chunk lasts from its start to the start of the
    next: whatever Lightning does between them is in it.
    """

    def __init__(self, bare: Callable[[], Any], rounds: int) -> None:
        self.bare = bare
        self.asked: SimpleQueue[Callable[[], Any] | None] = (
            SimpleQueue()
        )  # None: go on with the fit
        self.done: SimpleQueue[bool] = SimpleQueue()
        self.in_chunk = self.over = False
        # `compare` calls its sides and the fit calls its callbacks: neither can call the other, so
        # that one of them waits in a thread.
        self.pool = ThreadPoolExecutor(1)
        self.result = self.pool.submit(self._compare, rounds)

    def _compare(self, rounds: int) -> Comparison:
        def ask(side: Callable[[], Any] | None) -> None:
            self.asked.put(side)
            if not self.done.get():
                raise RuntimeError("the fit ended before the comparison")

        try:
            return compare(lambda: ask(None), lambda: ask(self.bare), rounds, min_seconds=0.1)
        finally:
            # Also when the comparison breaks: the fit must not wait for a thread that has ended.
            self.over = True
            self.asked.put(None)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        # The chunk that was asked for has ended.
        if self.in_chunk:
            self.done.put(True)
        while (side := self.asked.get()) is not None:
            side()
            self.done.put(True)
        self.in_chunk = True
        trainer.should_stop = self.over

    def close(self) -> None:
        self.done.put(False)
        self.pool.shutdown()


@dataclass(frozen=True)
class Size:
    """Of a model and its batches."""

    width: int
    depth: int
    batch_size: int
    context: int


SIZES = (Size(64, 3, 32, 64), Size(128, 4, 16, 128))
QUICK_SIZES = (Size(32, 2, 8, 32),)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """A row for each of SIZES; `ratio` = time per step of `fit`'s loop over that of the bare loop.

    The goal is 1.
    """
    return [_row(size, rounds=3 if quick else 30) for size in (QUICK_SIZES if quick else SIZES)]


def _compose(size: Size) -> Config:
    return compose(
        [
            "model=transformer",
            f"model.width={size.width}",
            f"model.depth={size.depth}",
            f"model.num_heads={HEADS}",
            f"data.batch_size={size.batch_size}",
            f"data.context={size.context}",
            "trainer.max_steps=1000000",
            f"optim.lr={LR}",
            f"optim.beta1={BETAS[0]}",
            f"optim.beta2={BETAS[1]}",
            f"optim.weight_decay={WEIGHT_DECAY}",
            "trainer.stop_diverged=false",
        ]
    )


def _bare_loop(model: nn.Module, data: Dataset) -> Callable[[], None]:
    """CHUNK_STEPS training steps as nanoGPT takes them."""
    decayed = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [
        {"params": decayed, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS, fused=True)
    steps = count()

    def bare() -> None:
        for _ in range(CHUNK_STEPS):
            x, y = data.batch(next(steps))
            logits = model(x)
            loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return bare


def _row(size: Size, rounds: int) -> dict[str, Any]:
    cfg = _compose(size)
    torch.set_num_threads(1)
    ours = set_up(cfg)
    theirs = GPT(size.context, ours.data.num_outputs, size.width, size.depth)
    # The same arrangement: else the ratio would be of two networks.
    assert _count(ours.model) == _count(theirs)
    # Each side has its own epoch in hand.
    turns = Turns(_bare_loop(theirs, load_data(cfg.data, cfg.seed)), rounds)
    task = Task(ours, CHUNK_STEPS)
    try:
        build_trainer(cfg.trainer, [turns]).fit(task, task.chunks())
    finally:
        # Whatever ends the fit: a comparison that still waits for it would never return.
        turns.close()
    compared = turns.result.result()
    tokens = CHUNK_STEPS * size.batch_size * size.context
    return {
        "benchmark": "lm-step",
        "subject": "fit's loop",
        "baseline": "nanoGPT's arrangement, bare loop",
        "shape": f"width {size.width}, {size.depth} blocks, {size.batch_size}x{size.context} "
        "tokens",
        "ratio": compared.ratio,
        "ratio_low": compared.ratio_low,
        "ratio_high": compared.ratio_high,
        "control": compared.control,
        "void": not compared.valid,
        "goal": "<= 1",
        "rounds": compared.rounds,
        "tokens_per_s": tokens / compared.subject_s,
        "baseline_tokens_per_s": tokens / compared.baseline_s,
        "dtype": "float32",
        "mode": "eager",
        "device": "cpu",
        "threads": 1,
        "torch": torch.__version__,
        "kernel": kernels.name(),
    }


def _count(model: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
