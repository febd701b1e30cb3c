"""Core-minutes to 80 % and to 85 % test accuracy on CIFAR-10, all 45,000 training images, with
`model=speednet`.

How the CIFAR speed runs count: not when a curve first crosses the line, but how long the shortest
whole training takes that ends above it, its schedule included. So budgets grow until the last one
is above both lines. One core, one thread; evaluation is not counted.
"""

import time
from typing import Any

import torch

from normlab.config.compose import compose
from normlab.norms import kernels
from normlab.training.setup import set_up
from normlab.training.step import evaluate

GOALS = (0.80, 0.85)  # test accuracy
EPOCHS = (2, 4, 6, 8, 12, 16, 24)  # budgets, each a training of its own
QUICK = ("data=digits", "model.width=8", "data.image_size=16", "trainer.max_epochs=3")
WHOLE = ("data=cifar10", "data.crop_padding=2", "trainer.channels_last=true")
RECIPE = ("model=speednet", "data.batch_size=128", "optim.lr=0.1")
KINDS = ("batchnorm", "groupnorm")


def run(quick: bool = False) -> list[dict[str, Any]]:
    """A row for each norm and budget; quick: one budget on digits, which shows that it runs.

    Raises:
        NormLabError: CIFAR-10 is not there.
    """
    if quick:
        return [train(kind, QUICK) for kind in KINDS]
    rows = []
    for kind in KINDS:
        for epochs in EPOCHS:
            row = train(kind, (*WHOLE, f"trainer.max_epochs={epochs}"))
            rows.append(row)
            if row["test_accuracy"] >= GOALS[-1]:
                break
    return rows


def train(kind: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    """One training: what it reached, and the minutes of this thread that it took."""
    cfg = compose((*RECIPE, *overrides, f"norm={kind}"))
    torch.set_num_threads(1)
    setup = set_up(cfg)
    began = time.thread_time()
    setup.train()
    minutes = (time.thread_time() - began) / 60
    accuracy = evaluate(setup.model, setup.data.eval_batches("test"))[1]
    return {
        "benchmark": "cifar",
        "subject": kind,
        "data": cfg.data.name,
        "epochs": cfg.trainer.max_epochs,
        "steps": setup.steps,
        "core_minutes": minutes,
        "test_accuracy": accuracy,
        "reaches": ", ".join(f"{goal:.0%}" for goal in GOALS if accuracy >= goal),
        "step_ms": 60e3 * minutes / setup.steps,
        "device": "cpu",
        "threads": 1,
        "torch": torch.__version__,
        "kernel": kernels.name(),
    }
