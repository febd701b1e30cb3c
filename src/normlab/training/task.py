"""The LightningModule: one `training_step` is a chunk of plain steps."""

from collections.abc import Iterator
from typing import Any

import torch

from normlab.training.divergence import divergence
from normlab.training.lightning import L
from normlab.training.setup import Setup
from normlab.training.step import evaluate


class Chunks:
    """What Lightning iterates over: nothing but the number of chunks.

    The task itself knows the step it is at.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))


class Task(L.LightningModule):
    """Trains a network as its setup says.

    Lightning costs a fixed time per `training_step` and per `self.log`; with manual optimization
    and a chunk of plain steps in each, that is paid once per chunk. `step`, `curve` and `message`
    (why the run diverged, or "") travel with the checkpoint; batches are a function of the step, so
    a resumed run sees what the unbroken one saw.
    """

    def __init__(self, setup: Setup, chunk_steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = setup.model
        self.training_setup = setup  # `setup` alone is a hook of Lightning's
        self.chunk_steps = chunk_steps
        self.step = 0
        self.message = ""
        self.curve: dict[str, list[Any]] = {"step": [], "train_loss": []}

    def chunks(self) -> Chunks:
        """One pass over these is the whole training, or what is left of it after `step`."""
        return Chunks(-(-(self.training_setup.steps - self.step) // self.chunk_steps))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.training_setup.optimizer

    def training_step(self, batch: Any, batch_idx: int) -> None:
        first = self.step
        end = min(first + self.chunk_steps, self.training_setup.steps)
        # A strategy that wraps the model (DDP) must see every backward; alone, the tensor's own is
        # the shorter way.
        alone = self.trainer.world_size == 1
        backward = torch.Tensor.backward if alone else self.manual_backward
        loss = self.training_setup.train(first, end, backward=backward).mean()
        self.step = end
        if not alone:  # all must stop at the same step, if one does
            loss = self.trainer.strategy.reduce(loss, reduce_op="mean")
        self._after_chunk(float(loss), first)

    def _after_chunk(self, loss: float, first: int) -> None:
        self.curve["step"].append(self.step)
        self.curve["train_loss"].append(loss)
        # The rate of the chunk's last step.
        values = {"train/loss": loss, "lr": self.training_setup.rate(self.step - 1)}
        trainer = self.training_setup.cfg.trainer
        every = trainer.eval_every
        if every and self.step // every > first // every and self.step < self.training_setup.steps:
            values |= self._validate()
        for logger in self.loggers:
            logger.log_metrics(values, step=self.step)
        steps, losses = self.curve["step"], self.curve["train_loss"]
        trivial_loss = self.training_setup.data.trivial_loss
        reason = divergence(steps, losses, trivial_loss)
        if reason:
            # The first reason stays, where a run goes on in spite of it.
            self.message = self.message or reason
            if trainer.stop_diverged:
                self.trainer.should_stop = True

    def _validate(self) -> dict[str, float]:
        batches = self.training_setup.data.eval_batches("val")
        loss, accuracy = evaluate(self.model, batches, self.training_setup.bf16)
        for name, value in (("step", self.step), ("loss", loss), ("accuracy", accuracy)):
            self.curve.setdefault(f"val_{name}", []).append(value)
        return {"val/loss": loss, "val/accuracy": accuracy}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["normlab"] = {"step": self.step, "curve": self.curve, "message": self.message}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Lightning's own count is of chunks, whose number and length another budget changes: it
        # would pass over chunks that nobody trained. Without it, its loop begins anew, over
        # `chunks()`, which are those that are left.
        checkpoint.pop("loops", None)
        saved = checkpoint["normlab"]
        self.step, self.curve, self.message = saved["step"], saved["curve"], saved["message"]
