"""The LightningModule: one `training_step` is a chunk of plain steps."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from normlab.training.divergence import divergence
from normlab.training.lightning import L
from normlab.training.optim import build_optimizer, learning_rate
from normlab.training.step import evaluate, train_steps


class Chunks:
    """What Lightning iterates over: nothing but the number of chunks. The task itself knows the step it is at."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))


class Task(L.LightningModule):
    """Trains `model` on `data` for `total_steps` optimizer steps.

    Lightning costs a fixed time per `training_step` and per `self.log`; with manual optimization and a chunk of plain
    steps in each, that is paid once per chunk. `step`, `curve` and `message` (why the run diverged, or "") travel with
    the checkpoint; batches are a function of the step, so a resumed run sees what the unbroken one saw.
    """

    def __init__(
        self, model: nn.Module, data: Any, cfg: Any, total_steps: int, chunk_steps: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.data = data
        self.cfg = cfg
        self.total_steps = total_steps
        self.chunk_steps = chunk_steps
        self.rate = learning_rate(cfg.optim, total_steps)
        self.bf16 = cfg.trainer.precision.value == "bf16"
        self.step = 0
        self.message = ""
        self.curve: dict[str, list[Any]] = {"step": [], "train_loss": []}

    def chunks(self) -> Chunks:
        return Chunks(-(-self.total_steps // self.chunk_steps))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self.cfg.optim, self.model)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        first = self.step
        count = min(self.chunk_steps, self.total_steps - first)
        if count <= 0:
            return
        # A strategy that wraps the model (DDP) must see every backward; alone, the tensor's own is the shorter way.
        backward = self.manual_backward if self.trainer.world_size > 1 else torch.Tensor.backward
        losses = train_steps(
            self.model,
            self.optimizers(use_pl_optimizer=False),  # type: ignore[arg-type]
            self.rate,
            self.data.batch,
            first,
            count,
            self.cfg.trainer.accumulate,
            self.cfg.optim.clip_norm,
            self.bf16,
            backward,
        )
        self.step = first + count
        loss = losses.mean()
        if self.trainer.world_size > 1:  # all must stop at the same step, if one does
            loss = self.trainer.strategy.reduce(loss, reduce_op="mean")
        self._after_chunk(float(loss), first)

    def _after_chunk(self, loss: float, first: int) -> None:
        self.curve["step"].append(self.step)
        self.curve["train_loss"].append(loss)
        values = {"train/loss": loss, "lr": self.rate(self.step - 1)}
        every = self.cfg.trainer.eval_every
        if every and self.step // every > first // every and self.step < self.total_steps:
            values["val/loss"], values["val/accuracy"] = evaluate(
                self.model, self.data.eval_batches("val"), self.bf16
            )
            for name in ("step", "loss", "accuracy"):
                value = self.step if name == "step" else values[f"val/{name}"]
                self.curve.setdefault(f"val_{name}", []).append(value)
        for logger in self.loggers:
            logger.log_metrics(values, step=self.step)
        reason = divergence(
            self.curve["step"], self.curve["train_loss"], self.total_steps, self.data.trivial_loss
        )
        if reason:
            self.message = self.message or reason
            if self.cfg.trainer.stop_diverged:
                self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["normlab"] = {"step": self.step, "curve": self.curve, "message": self.message}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint["normlab"]
        self.step, self.curve, self.message = saved["step"], saved["curve"], saved["message"]
