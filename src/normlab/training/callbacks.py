"""Lightning callbacks: the progress bar and the checkpoint."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from normlab.records.files import replacing
from normlab.training.lightning import L
from normlab.training.task import Task


class Progress(L.Callback):
    """One line on the terminal: steps, loss, samples per second, time left."""

    def __init__(self, title: str, samples_per_step: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.samples_per_step = samples_per_step
        self.bar = Progress(
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(
                "loss {task.fields[loss]:.3f}  {task.fields[rate]:,.0f} {task.fields[unit]}/s"
            ),
            TimeRemainingColumn(),
            transient=True,
        )

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        assert isinstance(task, Task)
        setup = task.training_setup
        self.row = self.bar.add_task(
            "",
            total=setup.steps,
            completed=task.step,
            loss=float("nan"),
            rate=0,
            unit="images" if setup.data.modality == "image" else "sequences",
        )
        # A resumed run begins at its own step: only what was done since then makes the rate.
        self.began, self.first = time.perf_counter(), task.step
        self.bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, task: L.LightningModule, *_: Any) -> None:
        assert isinstance(task, Task)
        samples = (task.step - self.first) * self.samples_per_step
        rate = samples / (time.perf_counter() - self.began)
        self.bar.update(self.row, completed=task.step, loss=task.curve["train_loss"][-1], rate=rate)

    def on_train_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        self.bar.stop()

    def on_exception(
        self, trainer: L.Trainer, task: L.LightningModule, exception: BaseException
    ) -> None:
        self.bar.stop()


class SaveCheckpoint(L.Callback):
    """Writes `last.ckpt` every `every` steps: at the end of the chunk that reaches them."""

    def __init__(self, folder: Path, every: int) -> None:
        self.path = folder / "last.ckpt"
        self.every = every
        self.saved = 0

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        assert isinstance(task, Task)
        self.saved = task.step  # of the checkpoint that a resumed run begins with

    def on_train_batch_end(self, trainer: L.Trainer, task: L.LightningModule, *_: Any) -> None:
        assert isinstance(task, Task)
        # A chunk may pass a multiple of `every` without ending on it.
        due = task.step // self.every > self.saved // self.every
        if due or task.step >= task.training_setup.steps:
            # Every process takes part, the first alone writes and has a draft to put in place.
            draft = replacing(self.path) if trainer.is_global_zero else nullcontext(self.path)
            with draft as path:
                trainer.save_checkpoint(path)
            self.saved = task.step
