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

    def on_train_start(self, trainer: L.Trainer, task: Task) -> None:  # type: ignore[override]
        unit = "images" if task.data.modality == "image" else "sequences"
        self.row = self.bar.add_task(
            "", total=task.total_steps, completed=task.step, loss=float("nan"), rate=0, unit=unit
        )
        self.began, self.first = time.perf_counter(), task.step
        self.bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, task: Task, *_: Any) -> None:  # type: ignore[override]
        rate = (task.step - self.first) * self.samples_per_step / (time.perf_counter() - self.began)
        self.bar.update(self.row, completed=task.step, loss=task.curve["train_loss"][-1], rate=rate)

    def on_train_end(self, trainer: L.Trainer, task: Task) -> None:  # type: ignore[override]
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, task: Task, exception: BaseException) -> None:  # type: ignore[override]
        self.bar.stop()


class SaveCheckpoint(L.Callback):
    """Writes `last.ckpt` every `every` steps, at the end of the chunk that reaches them, in one step."""

    def __init__(self, folder: Path, every: int) -> None:
        self.path = folder / "last.ckpt"
        self.every = every
        self.saved = 0

    def on_train_batch_end(self, trainer: L.Trainer, task: Task, *_: Any) -> None:  # type: ignore[override]
        if task.step // self.every > self.saved // self.every or task.step >= task.total_steps:
            # Every process takes part, the first alone writes and has a draft to put in place.
            draft = replacing(self.path) if trainer.is_global_zero else nullcontext(self.path)
            with draft as path:
                trainer.save_checkpoint(path)
            self.saved = task.step
