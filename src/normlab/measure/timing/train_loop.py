"""Our training step, Lightning and all, against a bare PyTorch loop over the same model, batches
and optimizer."""

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F

from normlab.config.compose import compose
from normlab.norms import kernels
from normlab.training.lightning import L
from normlab.training.setup import Setup, set_up
from normlab.training.task import Task
from normlab.training.trainer import build_trainer

ROUND_STEPS = {2: 400, 64: 100}  # by batch size
QUICK_STEPS = {2: 50, 64: 50}  # a chunk: too few for the clock, enough to see that it works


class _Timed(L.Callback):
    """Hands over to the bare loop between chunks, so that both sides are timed interleaved."""

    def __init__(self, bare_round: Callable[[], float], round_steps: int) -> None:
        self.bare_round = bare_round
        self.round_steps = round_steps
        # Seconds of each round; the control is of the bare loop against itself.
        self.ours: list[float] = []
        self.bare: list[float] = []
        self.control: list[float] = []

    def on_train_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_batch_start(self, trainer: L.Trainer, task: L.LightningModule, *_: Any) -> None:
        # From the end of one round to the end of the next: everything that Lightning does between
        # chunks is ours.
        assert isinstance(task, Task)
        if task.step == 0 or task.step % self.round_steps:
            return
        self.ours.append(time.perf_counter() - self.began)
        first, second = self.bare_round(), self.bare_round()
        self.bare.append(first)
        self.control.append(second / first)
        self.began = time.perf_counter()


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Rows for batch 2 and 64; `ratio` = time per step of `fit`'s loop over that of the bare loop.

    The goal is 1.05.
    """
    sizes = QUICK_STEPS if quick else ROUND_STEPS
    return [_row(batch, steps, 4 if quick else 30) for batch, steps in sizes.items()]


def _bare_loop(setup: Setup, steps: int) -> Callable[[], float]:
    """A round of `steps` training steps as a bare loop, which returns its seconds."""
    steps_done = count()

    def bare_round() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            x, y = setup.data.batch(next(steps_done))
            loss = F.cross_entropy(setup.model(x), y)
            setup.optimizer.zero_grad()
            loss.backward()
            setup.optimizer.step()
        return time.perf_counter() - began

    return bare_round


def _row(batch_size: int, steps: int, rounds: int) -> dict[str, Any]:
    cfg = compose(
        [
            f"data.batch_size={batch_size}",
            # One round warms up, and the last has no end: a round ends where the next begins.
            f"trainer.max_steps={steps * (rounds + 2)}",
            "trainer.stop_diverged=false",
        ]
    )
    torch.set_num_threads(1)
    # Each side has data of its own: batches are made in blocks, at each side's own step.
    timed = _Timed(_bare_loop(set_up(cfg), steps), steps)
    # As many as `fit` takes in long runs; the rounds are whole numbers of chunks.
    task = Task(set_up(cfg), chunk_steps=50)
    build_trainer(cfg.trainer, [timed]).fit(task, task.chunks())
    # The first round warms up.
    ours, bare = torch.tensor(timed.ours[1:]), torch.tensor(timed.bare[1:])
    low, median, high = (ours / bare).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return {
        "benchmark": "train-loop",
        "batch_size": batch_size,
        "ratio": median,
        "ratio_low": low,
        "ratio_high": high,
        "control": float(torch.tensor(timed.control[1:]).median()),
        "goal": "<= 1.05",
        "rounds": len(ours),
        "subject_us": 1e6 * float(ours.median()) / steps,
        "baseline_us": 1e6 * float(bare.median()) / steps,
        "model": f"{cfg.norm.kind} {cfg.model.name}",
        "device": "cpu",
        "threads": 1,
        "torch": torch.__version__,
        "kernel": kernels.name(),
    }
