"""Our training step of a language model, Lightning and all, against nanoGPT's arrangement as a bare PyTorch loop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from queue import SimpleQueue
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.config.schema import compose
from normlab.data import load_data
from normlab.measure.timing.harness import Comparison, compare
from normlab.models import build_model
from normlab.training.fit import build_trainer
from normlab.training.lightning import L
from normlab.training.task import Task

CHUNK_STEPS = (
    10  # steps of either side in a timing; fit itself takes 50 and so pays for Lightning less often
)
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
        q, k, v = (part.view(n, t, HEADS, c // HEADS).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(y.transpose(1, 2).contiguous().view(n, t, c))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


class GPT(nn.Module):
    """GPT-2 as nanoGPT arranges it without biases: positions, blocks, a last norm, and the embedding as the head."""

    def __init__(self, context: int, vocabulary: int, width: int, depth: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(GPTBlock(width) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)


class Turns(L.Callback):
    """Times a fit, chunk by chunk, against `bare`: both run in the thread of the fit, as `compare` in another asks.

    The same thread, since memory is handed out by another allocator in each. A chunk lasts from its start to the start
    of the next: whatever Lightning does between them is in it.
    """

    def __init__(self, bare: Callable[[], Any], rounds: int) -> None:
        self.bare = bare
        self.asked: SimpleQueue[Callable[[], Any] | None] = (
            SimpleQueue()
        )  # None: go on with the fit
        self.done: SimpleQueue[bool] = SimpleQueue()
        self.in_chunk = self.over = False
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
            self.over = True
            self.asked.put(None)

    def on_train_batch_start(
        self, trainer: L.Trainer, task: Task, batch: Any, batch_idx: int
    ) -> None:  # type: ignore[override]
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


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Rows for width 64 with 3 blocks on 32 x 64 tokens and width 128 with 4 on 16 x 128; `ratio` = time per step of
    `fit`'s loop over that of the bare loop, goal 1."""
    sizes = [(64, 3, 32, 64), (128, 4, 16, 128)]
    return [_row(*size, rounds=3 if quick else 30) for size in (sizes[:1] if quick else sizes)]


def _row(width: int, depth: int, batch_size: int, context: int, rounds: int) -> dict[str, Any]:
    cfg = compose(
        [
            *(
                "model=transformer",
                f"model.width={width}",
                f"model.depth={depth}",
                f"model.num_heads={HEADS}",
            ),
            *(
                f"data.batch_size={batch_size}",
                f"data.context={context}",
                "trainer.max_steps=1000000",
            ),
            *(f"optim.lr={LR}", f"optim.beta1={BETAS[0]}", f"optim.beta2={BETAS[1]}"),
            *(f"optim.weight_decay={WEIGHT_DECAY}", "trainer.stop_diverged=false"),
        ]
    )
    torch.set_num_threads(1)
    data, bare_data = (
        load_data(cfg.data, cfg.seed) for _ in range(2)
    )  # each has its own epoch in hand

    model = GPT(context, data.num_outputs, width, depth)
    decayed = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}],
        lr=LR, betas=BETAS, fused=True,
    )  # fmt: skip
    steps = count()

    def bare() -> None:
        for _ in range(CHUNK_STEPS):
            x, y = bare_data.batch(next(steps))
            logits = model(x)
            loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    ours = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in model.parameters())
    task = Task(ours, data, cfg, cfg.trainer.max_steps, CHUNK_STEPS)
    turns = Turns(bare, rounds)
    try:
        build_trainer(cfg.trainer, [turns], []).fit(task, task.chunks())
    finally:
        turns.close()
    result = turns.result.result()
    tokens = CHUNK_STEPS * batch_size * context
    return {
        "benchmark": "lm-step",
        "subject": "fit's loop",
        "baseline": "nanoGPT's arrangement, bare loop",
        "shape": f"width {width}, {depth} blocks, {batch_size}x{context} tokens",
        "ratio": result.ratio,
        "ratio_low": result.ratio_low,
        "ratio_high": result.ratio_high,
        "control": result.control,
        "void": not result.valid,
        "goal": "<= 1",
        "rounds": result.rounds,
        "tokens_per_s": tokens / result.subject_s,
        "baseline_tokens_per_s": tokens / result.baseline_s,
        "dtype": "float32",
        "mode": "eager",
        "device": "cpu",
        "threads": 1,
        "torch": torch.__version__,
    }
