"""Failure modes of batch statistics: from few samples, on one device of several, in averages that do not fit."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from normlab.records.verdict import REFUTED
from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.norm_layers import FROZEN, NormLayer

FEW = 8  # samples: the largest number at which the record has a loss; at 16 it is undecided
# Samples that a running average rests on: 3 batches of 4, the better of the two cells that the record has.
FEW_AVERAGED = 12
# In running deviations, averaged over channels. On test images a trained CNN has 0.2 to 0.5; on corruptions that cost
# it 5 points or more, 0.4 to 1.2. The second number makes room for the chance in a small batch.
FAR, CHANCE = 0.6, 1.0


def tiny_batch(subject: Subject) -> Iterator[Finding]:
    """Statistics of the batch from at most 8 samples."""
    by_samples: dict[int, list[str]] = {}
    for norm in subject.live_batchnorm:
        samples = subject.samples(norm)
        if samples is not None and samples <= FEW:
            by_samples.setdefault(samples, []).append(norm.name)
    for samples, names in sorted(by_samples.items()):
        record = Evidence("bn-batch-below-16", "two" if samples <= 2 else "knee")
        if samples == 1:
            record = Evidence("bn-batch1-fails", "evaluation")
        shared = (
            "1 sample has statistics of its own"
            if samples == 1
            else f"{samples} samples share statistics"
        )
        yield Finding("tiny-batch", tuple(names), f"in training, {shared}", (record,))


def momentum(subject: Subject) -> Iterator[Finding]:
    """Running averages over so few samples that they follow each batch."""
    for norm in subject.live_batchnorm:
        share, samples = getattr(norm.module, "momentum", None), subject.samples(norm)
        if share is None or samples is None or not norm.kept_statistics or not 0 < share <= 1:
            continue
        averaged = (2 - share) / share * samples
        if averaged <= FEW_AVERAGED:
            yield Finding(
                "momentum",
                (norm.name,),
                f"momentum {share:g} is the weight of the new batch (in Keras, what is kept): the running averages "
                f"rest on (2 - {share:g}) / {share:g} x {samples} = {averaged:.3g} samples",
                (Evidence("bn-momentum-tiny-batch", "weight of the new batch", REFUTED),),
            )


def local_statistics(subject: Subject) -> Iterator[Finding]:
    """Batch norms of data-parallel training that know their own device's samples only."""
    names = tuple(norm.name for norm in subject.live if norm.kind != "syncbatchnorm")
    if subject.world_size > 1 and names:
        per_device = subject.batch_per_device
        yield Finding(
            "local-statistics",
            names,
            f"with {subject.world_size} processes each layer's statistics are those of one of them"
            + (
                f", {per_device} of {per_device * subject.world_size} samples" if per_device else ""
            ),
            (
                Evidence("ddp-bn-local-stats", "own statistics"),
                Evidence("ddp-bn-local-stats", "saved buffers"),
            ),
        )


def never_moved(subject: Subject) -> Iterator[Finding]:
    """Running statistics that are used, or will be, and are what they were at the start."""
    using = [
        norm for norm in _with_statistics(subject) if not norm.is_live and _initial(norm.module)
    ]
    if using:
        yield Finding(
            "running-statistics-never-moved",
            tuple(norm.name for norm in using),
            "running_mean is 0 and running_var 1 in every channel, as at the start, and the layer normalizes with them",
            (Evidence("domain-shift-hurts-bn", "averages"),),
        )
    still = [
        norm
        for norm in subject.live
        if norm.kept_statistics and getattr(norm.module, "momentum", None) == 0
    ]
    if still:
        yield Finding(
            "running-statistics-never-moved",
            tuple(norm.name for norm in still),
            "momentum is 0, the weight of the new batch: the statistics for evaluation never change",
            (Evidence("domain-shift-hurts-bn", "averages"),),
        )


def far_from_batch(subject: Subject) -> Iterator[Finding]:
    """Running statistics in use that are not those of the sample batch."""
    for norm in _with_statistics(subject):
        x = subject.inputs.get(norm.name)
        by_position = norm.module.running_mean.ndim > 1  # those of causal_batchnorm
        if x is None or norm.is_live or by_position or _initial(norm.module) or len(x) < 2:
            continue
        distance = _distance(norm, x)
        if distance > FAR + CHANCE / len(x) ** 0.5:
            yield Finding(
                "running-statistics-far",
                (norm.name,),
                f"mean and deviation of the {len(x)} samples are {distance:.2g} running deviations away from the "
                "running ones, on average over channels",
                (
                    Evidence("domain-shift-hurts-bn", "fall"),
                    Evidence("domain-shift-hurts-bn", "averages"),
                ),
            )


def _with_statistics(subject: Subject) -> list[NormLayer]:
    return [n for n in subject.norms if n.kept_statistics and (n.is_batch_norm or n.kind == FROZEN)]


def _initial(module: Any) -> bool:
    if module.running_mean.is_meta:
        return False
    return not bool(module.running_mean.any()) and bool((module.running_var == 1).all())


def _distance(norm: NormLayer, x: Tensor) -> float:
    """Mean over channels of the Wasserstein distance between two Gaussians, the batch's and the running one."""
    axis = x.ndim - 1 if norm.channels == "NTC" else 1
    values = x.double().movedim(axis, 0).flatten(1)
    variance, mean = torch.var_mean(values, 1, correction=0)
    eps = getattr(
        norm.module, "eps", 1e-5
    )  # that of the frozen norms of transformers stands in their forward
    running = (norm.module.running_var.double() + eps).sqrt()
    gap = (mean - norm.module.running_mean.double()).square() + (variance.sqrt() - running).square()
    return float((gap.sqrt() / running).mean())
