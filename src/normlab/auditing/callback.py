"""A Lightning callback that audits a model as it is trained and evaluated."""

import warnings
from typing import Any

import normlab.compat  # noqa: F401  (before lightning)

# isort: split
import lightning.pytorch as L
from torch import Tensor, nn

from normlab.auditing import Audit, audit


class AuditCallback(L.Callback):
    """Audits before the first training step and before the first batch of an evaluation, and warns of each finding.

    The number of processes is the trainer's, the batch per device that of the first batch: the length of its first
    tensor. `sample_batch` is for the checks that need one. `audits` keeps the results, by stage.
    """

    def __init__(self, sample_batch: Any = None) -> None:
        self.sample_batch = sample_batch
        self.audits: dict[str, Audit] = {}
        self._said: set[str] = set()

    def on_train_batch_start(self, trainer: L.Trainer, model: L.LightningModule, batch: Any, *_: Any) -> None:
        self._audit("training", trainer, model, batch)

    def on_validation_batch_start(self, trainer: L.Trainer, model: L.LightningModule, batch: Any, *_: Any) -> None:
        self._audit("validation", trainer, model, batch)

    def on_test_batch_start(self, trainer: L.Trainer, model: L.LightningModule, batch: Any, *_: Any) -> None:
        self._audit("test", trainer, model, batch)

    def _audit(self, stage: str, trainer: L.Trainer, model: nn.Module, batch: Any) -> None:
        if stage in self.audits or getattr(trainer, "sanity_checking", False):
            return
        size = _samples(batch) if stage == "training" else None
        sample = trainer.strategy.batch_to_device(self.sample_batch)
        found = self.audits[stage] = audit(model, sample, trainer.world_size, size)
        for finding in found if trainer.is_global_zero else ():
            # A network that goes on training is not to be folded.
            if (stage, finding.name) != ("validation", "foldable") and str(finding) not in self._said:
                self._said.add(str(finding))
                warnings.warn(f"normlab audit, {stage}: {finding}", stacklevel=2)


def _samples(batch: Any) -> int | None:
    """The length of the first tensor of a batch, however it is nested."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else None
    values = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple | list) else ()
    return next((size for size in map(_samples, values) if size is not None), None)
