"""`normlab.audit(model)`: failure modes of norm layers that the claims measured, in a network."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from normlab.errors import NormLabError
from normlab.tools.audit import (
    causality,
    dead_biases,
    dropout,
    modes,
    numerics,
    placement,
    recomputation,
    statistics,
    training,
)
from normlab.tools.audit.finding import Audit, Evidence, Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.audit.training import samples_of_last_batch, samples_of_rest
from normlab.tools.forward_pass import batch_length

__all__ = ["CHECKS", "Audit", "Evidence", "Finding", "audit"]

CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    modes.batch_statistics_at_evaluation,
    modes.frozen_and_live,
    statistics.tiny_batch,
    statistics.momentum,
    statistics.local_statistics,
    recomputation.counted_twice,
    dropout.dropout_before_batch_norm,
    training.last_batch_of_one,
    training.decayed_gains,
    statistics.never_moved,
    statistics.far_from_batch,
    causality.leak,
    placement.single_value_groups,
    dead_biases.bias_before_batch_norm,
    numerics.eps_too_small,
    numerics.dead_gain,
    placement.foldable,
)


def audit(
    model: nn.Module,
    sample_batch: Any = None,
    world_size: int = 1,
    batch_per_device: int | None = None,
    *,
    optimizer: Optimizer | Sequence[Optimizer] = (),
    loader: Any = None,
    dataset_size: int | None = None,
) -> Audit:
    """Look for the failure modes of norm layers in `model`, in the mode that it is in.

    Nothing of the model changes. Each finding names what there is to see in it, and the claim
    whose record says what that does; one whose record says the opposite by now is left out. Where
    no claim decides that so far, the finding says so. What could not be read, or not be looked
    for, is named as well.

    Args:
        sample_batch: what the model is called with; a tensor, a tuple of arguments, or a dict of
            keywords. Without it, what depends on values is left out: distances of running
            statistics, leaks, groups of one value, statistics that are counted twice. With it, a
            copy of a model in train mode makes a forward and a backward pass.
        world_size: data parallel processes.
        batch_per_device: samples of a training batch on one of them, else those of `loader` or of
            `sample_batch`.
        optimizer: one that trains the model, or several; for weight decay on gains and shifts.
        loader: the DataLoader that it is trained with, of one process; for an epoch's last batch.
        dataset_size: in place of a loader, the samples of an epoch that all processes share and
            that are cut into batches to the last one.

    Raises:
        NormLabError: a number below 1, a batch that the model cannot be called with, a model that
            is wrapped by FSDP, a dataset_size without the size of a batch.
    """
    numbers = {
        "world_size": world_size,
        "batch_per_device": batch_per_device,
        "dataset_size": dataset_size,
    }
    if any(number is not None and number < 1 for number in numbers.values()):
        given = " and ".join(
            f"{name}={value}" for name, value in numbers.items() if value is not None
        )
        raise NormLabError(f"{given}: give whole numbers of at least 1.")
    if batch_per_device is None:
        batch_per_device = getattr(loader, "batch_size", None) or batch_length(sample_batch)
    last_batch = samples_of_last_batch(loader)
    if dataset_size is not None:
        last_batch = samples_of_rest(dataset_size, batch_per_device, world_size)
    optimizers = (optimizer,) if isinstance(optimizer, Optimizer) else tuple(optimizer)
    subject = Subject(
        model,
        sample_batch,
        world_size,
        batch_per_device,
        last_batch=last_batch,
        optimizers=optimizers,
    )
    return look(subject)


def look(subject: Subject) -> Audit:
    """What every check finds, less what the records contradict."""
    standing: list[Finding] = []
    for check in CHECKS:
        for finding in check(subject):
            if not finding.contradicted:
                standing.append(finding)
    unread = tuple(f"{norm.name}: {norm.reason}" for norm in subject.unread)
    return Audit(tuple(standing), len(subject.norms), unread, tuple(subject.notes))
