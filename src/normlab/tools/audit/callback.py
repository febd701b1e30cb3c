"""A Lightning callback that audits a model as it is trained and evaluated."""

import warnings
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any

from torch.utils._pytree import tree_leaves

from normlab.tools.audit import Audit, Finding, look
from normlab.tools.audit.observed import ObservedTraining
from normlab.tools.audit.subject import Subject
from normlab.tools.audit.training import samples_of_last_batch
from normlab.tools.forward_pass import batch_length
from normlab.tools.replica import refuse_sharded
from normlab.training.lightning import L, move_data_to_device


class AuditCallback(L.Callback):
    """Audits before the first training step and before the first batch of each evaluation.

    It warns of each finding. The number of processes, the optimizers and the last batch of an epoch
    are the trainer's, the batch per device that of the first batch: the length of its first tensor.
    In training it also sees what no look at a model shows: statistics that the backward pass of
    the first step moves once more, and norms whose eval() a later train() has undone. An audit
    that fails is a warning, too, and training goes on.

    Args:
        sample_batch: for the checks that need one.

    Attributes:
        audits: the latest results, by stage: training, validation, test, predict.
    """

    def __init__(self, sample_batch: Any = None) -> None:
        self.sample_batch = sample_batch
        self.audits: dict[str, Audit] = {}
        self._warned: set[Hashable] = set()
        self._in_training = False  # a step of this fit has begun
        self._observed: ObservedTraining | None = None  # since then, unless the audit failed

    def on_train_start(self, *_: Any) -> None:
        # Another fit of the same callback audits again.
        self._in_training, self._observed = False, None

    def on_train_batch_start(
        self, trainer: L.Trainer, model: L.LightningModule, batch: Any, *_: Any
    ) -> None:
        if not self._in_training:
            self._in_training = True
            self._audit("training", trainer, model, batch)
        if self._observed is not None:
            self._add(trainer, self._observed.step_begins())

    def on_before_backward(self, trainer: L.Trainer, *_: Any) -> None:
        if self._observed is not None:
            self._observed.backward_begins()

    def on_after_backward(self, trainer: L.Trainer, *_: Any) -> None:
        if self._observed is not None:
            self._add(trainer, self._observed.backward_ends())

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        model: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # Lightning's sanity check runs before training, with statistics that nothing has moved yet.
        if batch_idx == dataloader_idx == 0 and not trainer.sanity_checking:
            self._audit("validation", trainer, model)

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        model: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == dataloader_idx == 0:
            self._audit("test", trainer, model)

    def on_predict_batch_start(
        self,
        trainer: L.Trainer,
        model: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == dataloader_idx == 0:
            self._audit("predict", trainer, model)

    def _audit(
        self, stage: str, trainer: L.Trainer, model: L.LightningModule, batch: Any = None
    ) -> None:
        """`batch`: one that the model trains on, if it does."""
        try:
            self.audits[stage] = self._look(stage, trainer, model, batch)
        except Exception as error:  # a look at the model is no reason to end its training
            failure = f"not made: {type(error).__name__}: {error}"
            self._warn(trainer, f"normlab audit, {stage}: {failure}")
            return
        self._tell(stage, trainer, self.audits[stage])

    def _add(self, trainer: L.Trainer, found: Iterable[Finding]) -> None:
        """Findings of training that come after its audit."""
        audit = self.audits.get("training", Audit((), 0))
        known = {(finding.name, finding.layers) for finding in audit}
        new = [one for one in found if (one.name, one.layers) not in known]
        new = [one for one in new if not one.contradicted]
        if new:
            self.audits["training"] = replace(audit, findings=(*audit.findings, *new))
            self._tell("training", trainer, new)

    def _tell(self, stage: str, trainer: L.Trainer, findings: Iterable[Finding]) -> None:
        for finding in findings:
            # A network that goes on training is not to be folded.
            if (stage, finding.name) == ("validation", "foldable"):
                continue
            # Once for the same layers, though its numbers may change from one evaluation to the
            # next.
            once = (finding.name, finding.layers)
            self._warn(trainer, f"normlab audit, {stage}: {finding}", once)

    def _look(self, stage: str, trainer: L.Trainer, model: L.LightningModule, batch: Any) -> Audit:
        if trainer.strategy.model is not None:
            refuse_sharded(trainer.strategy.model)
        # Not by the trainer's transfer, which runs the model's own hooks on what may be None.
        sample = move_data_to_device(self.sample_batch, trainer.strategy.root_device)
        evaluated = stage != "training"
        subject = Subject(
            model,
            sample,
            trainer.world_size,
            batch_length(batch),
            last_batch=None if evaluated else _last_batch(trainer),
            optimizers=() if evaluated else trainer.optimizers,
            evaluated=evaluated,
        )
        if not evaluated:
            self._observed = ObservedTraining(model)
        return look(subject)

    def _warn(self, trainer: L.Trainer, text: str, once: Hashable = None) -> None:
        """Warns in the first process, one time for each `once`, or for each text."""
        once = once or text
        if trainer.is_global_zero and once not in self._warned:
            self._warned.add(once)
            warnings.warn(text, stacklevel=2)


def _last_batch(trainer: L.Trainer) -> int | None:
    """Samples of an epoch's last batch, if one DataLoader makes the batches and all are used."""
    loaders = tree_leaves(trainer.train_dataloader)
    limited = trainer.limit_train_batches not in (1.0, None)
    return None if limited or len(loaders) != 1 else samples_of_last_batch(loaders[0])
