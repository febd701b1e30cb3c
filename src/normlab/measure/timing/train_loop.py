"""Our training step, Lightning and all, against a bare PyTorch loop over the same model, batches and optimizer."""

import time
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F

from normlab.config.schema import compose
from normlab.data import load_data
from normlab.models import build_model
from normlab.training.fit import build_trainer
from normlab.training.lightning import L
from normlab.training.optim import build_optimizer
from normlab.training.task import Task

ROUND_STEPS = {2: 400, 64: 100}


class _Timed(L.Callback):
    """Hands over to the bare loop between chunks, so that both sides are timed interleaved in one process."""

    def __init__(self, bare_round: Any) -> None:
        self.bare_round = bare_round
        self.ours: list[float] = []
        self.bare: list[float] = []
        self.control: list[float] = []
        self.began: float | None = None

    def on_train_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_batch_start(
        self, trainer: L.Trainer, task: Task, batch: Any, batch_idx: int
    ) -> None:  # type: ignore[override]
        # From the end of one round to the end of the next: everything that Lightning does between chunks is ours.
        if task.step == 0 or task.step % ROUND_STEPS[task.cfg.data.batch_size]:
            return
        self.ours.append(time.perf_counter() - self.began)  # type: ignore[operator]
        first, second = self.bare_round(), self.bare_round()
        self.bare.append(first)
        self.control.append(second / first)
        self.began = time.perf_counter()


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Rows for batch 2 and 64; `ratio` = time per step of `fit`'s loop over that of the bare loop, goal 1.05."""
    return [_row(batch_size, rounds=6 if quick else 30) for batch_size in (2, 64)]


def _row(batch_size: int, rounds: int) -> dict[str, Any]:
    steps = ROUND_STEPS[batch_size]
    cfg = compose(
        [
            f"data.batch_size={batch_size}",
            f"trainer.max_steps={steps * (rounds + 2)}",
            "trainer.stop_diverged=false",
        ]
    )
    torch.set_num_threads(1)
    data = load_data(cfg.data, cfg.seed)
    shape = (data.modality, data.input_shape, data.num_outputs)

    bare_data = load_data(
        cfg.data, cfg.seed
    )  # its own: batches are made in blocks, at each side's own step
    bare_model = build_model(cfg, *shape)
    bare_optimizer = build_optimizer(cfg.optim, bare_model)
    steps_done = count()

    def bare_round() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            x, y = bare_data.batch(next(steps_done))
            loss = F.cross_entropy(bare_model(x), y)
            bare_optimizer.zero_grad()
            loss.backward()
            bare_optimizer.step()
        return time.perf_counter() - began

    timed = _Timed(bare_round)
    task = Task(build_model(cfg, *shape), data, cfg, cfg.trainer.max_steps, chunk_steps=50)
    build_trainer(cfg.trainer, [timed], []).fit(task, task.chunks())
    ratios = torch.tensor(timed.ours[1:]) / torch.tensor(timed.bare[1:])  # the first round warms up
    low, median, high = ratios.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return {
        "benchmark": "train-loop",
        "batch_size": batch_size,
        "ratio": median,
        "ratio_low": low,
        "ratio_high": high,
        "control": float(torch.tensor(timed.control[1:]).median()),
        "goal": "<= 1.05",
        "rounds": len(ratios),
        "subject_us": 1e6 * float(torch.tensor(timed.ours[1:]).median()) / steps,
        "baseline_us": 1e6 * float(torch.tensor(timed.bare[1:]).median()) / steps,
        "model": f"{cfg.norm.kind} {cfg.model.name}",
        "device": "cpu",
        "threads": 1,
        "torch": torch.__version__,
    }
