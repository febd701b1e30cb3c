"""Failure modes of how a network is trained: of its last batches, and of weight decay."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import BatchSampler

from normlab.errors import NormLabError
from normlab.tools.audit.finding import Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.norm_layers import NormLayer


def last_batch_of_one(subject: Subject) -> Iterator[Finding]:
    """Batch norms that an epoch's last batch leaves with one sample."""
    last, full = subject.last_batch, subject.batch_per_device
    if last is None or full is None or last == full:
        return
    for refused in (True, False):
        names = tuple(
            norm.name
            for norm in subject.live_batchnorm
            if _samples_of_the_rest(subject, norm, last) == 1 and _refuses(subject, norm) is refused
        )
        then = (
            "it is refused, and training ends there"
            if refused
            else "it has statistics of its own, and the running ones take these in as any others"
        )
        if names:
            reason = f"an epoch ends with a batch of {last} after those of {full}: a lone sample, "
            yield Finding(
                "last-batch-of-one",
                names,
                f"{reason}{then}; drop_last=True leaves it out",
                undecided="what one such batch an epoch costs",
            )


def _samples_of_the_rest(subject: Subject, norm: NormLayer, last: int) -> int:
    """How many samples share statistics in the last group of the last batch."""
    if norm.kind == "syncbatchnorm":
        return last * subject.world_size
    ghost = getattr(norm.module, "ghost_batch", None)
    return last % ghost or ghost if ghost else last


def _refuses(subject: Subject, norm: NormLayer) -> bool:
    """Whether a sample is one value per channel, whose deviation nobody knows."""
    x = subject.inputs.get(norm.name)
    if x is None or not x.numel():
        return norm.channels == "NC"
    return x[0].numel() == norm.features


def samples_of_last_batch(loader: Any) -> int | None:
    """How many samples the last batch of a DataLoader's epoch has; None if it does not say."""
    sampler = getattr(loader, "batch_sampler", None)
    # A class derived from it may make batches of any length.
    if type(sampler) is not BatchSampler:
        return None
    try:
        samples = len(sampler.sampler)  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):  # of a stream
        return None
    rest = samples % sampler.batch_size
    return sampler.batch_size if sampler.drop_last or not rest else rest


def samples_of_rest(dataset_size: int, batch: int | None, world_size: int) -> int:
    """How many samples the last batch of an epoch has on one process, which has an equal share.

    Raises:
        NormLabError: nobody says how large a batch is.
    """
    if batch is None:
        raise NormLabError(
            f"dataset_size={dataset_size} says nothing of the last batch without the size of a "
            "batch: give batch_per_device, or a sample_batch."
        )
    # As a DistributedSampler shares them out: rounded up, by samples that come twice.
    return -(-dataset_size // world_size) % batch or batch


def decayed_gains(subject: Subject) -> Iterator[Finding]:
    """Gains and shifts that an optimizer's weight decay pulls towards 0."""
    for optimizer in subject.optimizers:
        for index, group in enumerate(optimizer.param_groups):
            decay = group.get("weight_decay") or 0.0
            decayed = {id(one) for one in group["params"] if decay and one.requires_grad}
            gains = {norm.name for norm in subject.norms if id(norm.weight) in decayed}
            shifts = {norm.name for norm in subject.norms if id(norm.bias) in decayed}
            names = tuple(norm.name for norm in subject.norms if norm.name in gains | shifts)
            if names:
                reason = (
                    f"parameter group {index} of {type(optimizer).__name__} has weight_decay "
                    f"{float(decay):g}, and {_count(len(gains), 'gain')} and "
                    f"{_count(len(shifts), 'shift')} of norms in it"
                )
                undecided = "what decay of gains and shifts costs, or gives"
                yield Finding("decayed-gains", names, reason, undecided=undecided)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number or 'no'} {what}s"
