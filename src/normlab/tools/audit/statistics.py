"""Failure modes of batch statistics: of few samples, of one device, of averages that do not fit."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from normlab.records.verdict import REFUTED
from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.norm_layers import FROZEN, NormLayer

FEW = 8  # samples: the largest number at which the record has a loss; at 16 it is undecided
# Samples that a running average rests on: 3 batches of 4, the better of the record's two cells.
FEW_AVERAGED = 12
# What Keras' momentum may be: 0.99 by default, 0.9 to 0.9997 in published networks.
KEPT = 0.9
# In running deviations, averaged over channels. On test images a trained CNN has 0.2 to 0.5; on
# corruptions that cost it 5 points or more, 0.4 to 1.2. The second number makes room for the chance
# in a small batch.
FAR, CHANCE = 0.6, 1.0
_AVERAGES = Evidence("domain-shift-hurts-bn", "averages")


def tiny_batch(subject: Subject) -> Iterator[Finding]:
    """Statistics of the batch from at most 8 samples."""
    by_samples: dict[int, list[str]] = {}
    for norm in subject.live_batchnorm:
        samples = subject.samples(norm)
        if samples is not None and samples <= FEW:
            by_samples.setdefault(samples, []).append(norm.name)
    for samples, names in sorted(by_samples.items()):
        # Between 2 and 8 samples the record of 8 is named, which claims less.
        record = Evidence("bn-batch-below-16", "two" if samples <= 2 else "knee")
        reason = f"in training, {samples} samples share statistics"
        if samples == 1:
            record = Evidence("bn-batch1-fails", "evaluation")
            reason = "in training, 1 sample has statistics of its own"
        yield Finding("tiny-batch", tuple(names), reason, (record,))


def momentum(subject: Subject) -> Iterator[Finding]:
    """Running averages over so few samples that they follow each batch."""
    as_keras: dict[float, list[str]] = {}
    for norm in subject.live_batchnorm:
        share, samples = getattr(norm.module, "momentum", None), subject.samples(norm)
        # None averages all batches alike, and 0 keeps what is there: see `never_moved`.
        if share is None or not norm.kept_statistics or not 0 < share <= 1:
            continue
        # The samples of as many batches as an average with these weights varies by.
        # Weights share (1 - share)^k have the sum of squares share / (2 - share), which is what
        # divides the variance of an average.
        averaged = math.inf if samples is None else (2 - share) / share * samples
        if averaged <= FEW_AVERAGED:
            reason = (
                f"momentum {share:g} is the weight of the new batch (in Keras, what is kept): the "
                f"running averages rest on (2 - {share:g}) / {share:g} x {samples} = "
                f"{averaged:.3g} samples"
            )
            record = Evidence("bn-momentum-tiny-batch", "weight of the new batch", REFUTED)
            yield Finding("momentum", (norm.name,), reason, (record,))
        elif KEPT <= share < 1:  # 1 is what somebody wants who wants the last batch's
            as_keras.setdefault(share, []).append(norm.name)
    for share, names in as_keras.items():
        reason = (
            f"momentum {share:g} is the weight of the new batch, and looks like that of Keras, "
            f"which is what is kept: {1 - share:.3g} would be that one's; the running averages are "
            "nearly those of the last batch"
        )
        undecided = "what that costs at batches this large, or of a size that nobody said"
        yield Finding("momentum", tuple(names), reason, undecided=undecided)


def local_statistics(subject: Subject) -> Iterator[Finding]:
    """Batch norms of data-parallel training that know their own device's samples only."""
    # Every kind over the batch, not BatchNorm alone: it follows from what a process sees.
    names = tuple(norm.name for norm in subject.live if norm.kind != "syncbatchnorm")
    world, per_device = subject.world_size, subject.batch_per_device
    if world == 1 or not names:
        return
    reason = f"with {world} processes each layer's statistics are those of one of them"
    if per_device:
        reason += f", {per_device} of {per_device * world} samples"
    parts = ("own statistics", "saved buffers")
    records = tuple(Evidence("ddp-bn-local-stats", part) for part in parts)
    yield Finding("local-statistics", names, reason, records)


def never_moved(subject: Subject) -> Iterator[Finding]:
    """Running statistics that are used, or will be, and are what they were at the start."""
    name = "running-statistics-never-moved"
    fixed = [norm for norm in _with_statistics(subject) if not norm.is_live]
    using = tuple(norm.name for norm in fixed if _initial(norm))
    if using:
        reason = (
            "running_mean is 0 and running_var 1 in every channel, as at the start, "
            "and the layer normalizes with them"
        )
        yield Finding(name, using, reason, (_AVERAGES,))
    keeping = [norm for norm in subject.live if norm.kept_statistics]
    still = tuple(norm.name for norm in keeping if getattr(norm.module, "momentum", None) == 0)
    if still:
        reason = (
            "momentum is 0, the weight of the new batch: the statistics for evaluation never change"
        )
        yield Finding(name, still, reason, (_AVERAGES,))


def far_from_batch(subject: Subject) -> Iterator[Finding]:
    """Running statistics in use that are not those of the sample batch."""
    for norm in _with_statistics(subject):
        x = subject.inputs.get(norm.name)
        by_position = _running(norm)[0].ndim > 1  # those of causal_batchnorm
        # A live norm does not use them now, and those that never moved are told already.
        if x is None or norm.is_live or by_position or _initial(norm) or len(x) < 2:
            continue
        distance = _distance(norm, x)
        if distance > FAR + CHANCE / len(x) ** 0.5:
            reason = (
                f"mean and deviation of the {len(x)} samples are {distance:.2g} running deviations "
                "away from the running ones, on average over channels"
            )
            records = (Evidence("domain-shift-hurts-bn", "fall"), _AVERAGES)
            yield Finding("running-statistics-far", (norm.name,), reason, records)


def _with_statistics(subject: Subject) -> list[NormLayer]:
    """Norms over the batch, frozen ones too, that keep running statistics."""
    keeping = (norm for norm in subject.norms if norm.kept_statistics)
    return [norm for norm in keeping if norm.is_batch_norm or norm.kind == FROZEN]


def _running(norm: NormLayer) -> tuple[Tensor, Tensor]:
    """The running mean and variance of a norm that keeps them."""
    mean, variance = norm.module.running_mean, norm.module.running_var
    assert isinstance(mean, Tensor) and isinstance(variance, Tensor)
    return mean, variance


def _initial(norm: NormLayer) -> bool:
    """Whether its running statistics are those of a new layer."""
    mean, variance = _running(norm)
    return not mean.is_meta and not bool(mean.any()) and bool((variance == 1).all())


def _distance(norm: NormLayer, x: Tensor) -> float:
    """Mean over channels of the distance between the batch's statistics and the running ones.

    It is the Wasserstein distance between two Gaussians, in running deviations.
    """
    # (N, T, C) of ours; else (N, C, *).
    axis = x.ndim - 1 if norm.channels == "NTC" else 1
    values = x.double().movedim(axis, 0).flatten(1)
    variance, mean = torch.var_mean(values, 1, correction=0)
    eps = 1e-5 if norm.eps is None else norm.eps  # transformers' frozen norms have it in their code
    running_mean, running_variance = _running(norm)
    running = (running_variance.double() + eps).sqrt()
    between_means = (mean - running_mean.double()).square()
    between_deviations = (variance.sqrt() - running).square()
    return float(((between_means + between_deviations).sqrt() / running).mean())
