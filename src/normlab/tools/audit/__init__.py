"""`normlab.audit(model)`: failure modes of norm layers that the claims measured, in a network."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from normlab.errors import NormLabError
from normlab.tools.audit import causality, dead_biases, modes, numerics, placement, statistics
from normlab.tools.audit.finding import Audit, Evidence, Finding
from normlab.tools.audit.subject import Subject

__all__ = ["CHECKS", "Audit", "Evidence", "Finding", "audit"]

CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    modes.batch_statistics_at_evaluation,
    modes.frozen_and_live,
    statistics.tiny_batch,
    statistics.momentum,
    statistics.local_statistics,
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
) -> Audit:
    """Look for the failure modes of norm layers in `model`, in the mode that it is in.

    Nothing of the model changes. Each finding names what there is to see in it, and the claim
    whose record says what that does; one whose record says the opposite by now is left out. What
    could not be read, or not be looked for, is named as well.

    Args:
        sample_batch: what the model is called with; a tensor, a tuple of arguments, or a dict of
            keywords. Without it, what depends on values is left out: distances of running
            statistics, leaks, groups of one value.
        world_size: data parallel processes.
        batch_per_device: samples of a training batch on one of them, else those of `sample_batch`.

    Raises:
        NormLabError: a number below 1, a batch that the model cannot be called with, a model that
            is wrapped by FSDP.
    """
    if world_size < 1 or (batch_per_device is not None and batch_per_device < 1):
        raise NormLabError(
            f"world_size={world_size} and batch_per_device={batch_per_device}: "
            "give whole numbers of at least 1."
        )
    return look(Subject(model, sample_batch, world_size, batch_per_device))


def look(subject: Subject) -> Audit:
    """What every check finds, less what the records contradict."""
    standing: list[Finding] = []
    for check in CHECKS:
        for finding in check(subject):
            if not finding.contradicted:
                standing.append(finding)
    unread = tuple(f"{norm.name}: {norm.reason}" for norm in subject.unread)
    return Audit(tuple(standing), len(subject.norms), unread, tuple(subject.notes))
