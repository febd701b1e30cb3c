"""Activation checkpointing updates BatchNorm's running statistics twice; another momentum mends it.

Said by: practitioners: pytorch issues 96136 (open since March 2023) and 62471, fairscale issue
1035, insightface issue 2053.
Primary source: torch.utils.checkpoint, which computes the forward pass of a part anew in the
backward pass, in train mode. Two updates with momentum m are one with 1 - (1 - m)^2, so that
1 - sqrt(1 - m) restores the average; in fairscale a patch does it.
Measured: three blocks with torch's BatchNorm, each checkpointed by either of torch's two ways, over
5 training steps: running statistics and gradients against those without. And what it costs: a CNN
trained at batch 4, its averages collected over 200 more batches with momentum 0.1 and with 0.19,
which is 0.1 counted twice.
Cost: normlab run checkpointing-doubles-bn --profile full    25 trials to its first look, 12 minutes
of one core
"""

from dataclasses import replace
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import every, metric_difference
from normlab.claims.rules import AtLeast, Exact, NotExact
from normlab.records.measurement import Measurement

MOMENTUM = 0.1
BATCHES = 200  # 0.9^200 of what was there before is left
ARMS = tuple(
    f"{way}, {dtype}" for way in ("reentrant", "other") for dtype in ("float32", "float64")
)
TOLERANCE = 1e-6


def identities(way: str, dtype_name: str, seed: int) -> dict[str, float]:
    """Largest relative errors of statistics and gradients against training without checkpoints."""
    import torch

    from normlab.measure.recomputed import STEPS, blocks, distance, doubled, halved, train

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, dtype_name)
    net = blocks(generator, dtype, MOMENTUM)
    shape = (STEPS, 8, 3, 8, 8)
    batches = list(torch.randn(shape, generator=generator, dtype=dtype) * 2 + 1)
    plain = train(net, batches, momentum=MOMENTUM)
    twice = train(net, batches, momentum=doubled(MOMENTUM))
    reentrant = way == "reentrant"
    saved = train(net, batches, momentum=MOMENTUM, reentrant=reentrant)
    mended = train(net, batches, momentum=halved(MOMENTUM), reentrant=reentrant)
    return {
        "twice_error": distance(saved.statistics, twice.statistics),
        "mended_error": distance(mended.statistics, plain.statistics),
        "gradient_error": distance(saved.gradients, plain.gradients),
        "once_error": distance(saved.statistics, plain.statistics),
    }


def trial(options: Options, seed: int) -> Measurement | dict[str, float]:
    """Errors of the identities; or test accuracy of a trained network by the momentum."""
    from normlab.measure.extra_passes import accuracy_after, fresh_batch
    from normlab.measure.networks import train_network
    from normlab.measure.recomputed import doubled

    if "way" in options:
        return identities(options["way"], options["dtype"], seed)
    trained = train_network((*options["overrides"], "norm=batchnorm"), seed)
    batches = [fresh_batch(trained, index) for index in range(BATCHES)]
    metrics = {
        "once_accuracy": accuracy_after(trained, batches, MOMENTUM),
        "twice_accuracy": accuracy_after(trained, batches, doubled(MOMENTUM)),
    }
    return Measurement(metrics, trained.source)


def part(name: str, statement: str, metric: str, words: str, rule: Any = None) -> Part:
    said = f"{words}, 5 steps, both ways of checkpointing, fp32 and fp64"
    quantity = every(ARMS, [metric], words=said)
    return Part(name, statement, quantity, rule or Exact(TOLERANCE))


PROTOCOLS = image_protocols("data.batch_size=4", "optim.lr=0.01", epochs=1.2, full_epochs=1)
# An epoch in batches of 4 has 11,250 steps.
PROTOCOLS["full"] = replace(PROTOCOLS["full"], timeout_s=3600.0, seconds_per_trial=30.0)

CLAIM = Claim(
    slug="checkpointing-doubles-bn",
    statement="Activation checkpointing updates BatchNorm's running statistics twice a step, which "
    "a momentum of 1 - sqrt(1 - m) makes up for.",
    documents=("Practitioners' threads",),
    source="pytorch issue 96136, open since March 2023: 'the batch norm will be updated twice "
    "because the forward pass has to be ran twice'.",
    prediction="supported",
    arms=(
        *(
            Arm(name, options=dict(zip(("way", "dtype"), name.split(", "), strict=True)))
            for name in ARMS
        ),
        Arm("network", options={"net": "batch 4"}),
    ),
    protocols=as_options(PROTOCOLS),
    trial=trial,
    clauses=(
        part(
            "twice",
            "each batch is counted twice: statistics are those of momentum 1 - (1 - m)^2",
            "twice_error",
            "largest difference of running statistics from those of training without, with "
            "momentum 0.19, over the largest",
        ),
        part(
            "mended",
            "with momentum 1 - sqrt(1 - m) they are those without checkpointing",
            "mended_error",
            "largest difference of running statistics, momentum 0.0513, from those of training "
            "without, with momentum 0.1, over the largest",
        ),
        part(
            "gradients",
            "gradients are not affected",
            "gradient_error",
            "largest difference of gradients from those of training without, over the largest",
        ),
    ),
    scope=(
        part(
            "once",
            "left alone, statistics are others than without checkpointing",
            "once_error",
            "largest difference of running statistics from those of training without, same "
            "momentum, over the largest",
            NotExact(TOLERANCE),
        ),
        Part(
            "accuracy",
            "at batch 4 that costs 0.5 points of accuracy",
            metric_difference(
                "network",
                "once_accuracy",
                "twice_accuracy",
                words="test accuracy of a network trained at batch 4, averages with momentum 0.1 - "
                "with 0.19",
            ),
            AtLeast(0.5),
        ),
    ),
    answers=Answers(
        supported="Checkpointing counts each batch twice in running statistics (off by "
        "{once.effect:.0%} after 5 steps), and a momentum of 1 - sqrt(1 - m) restores them to "
        "{mended.effect:.0e}; gradients are those without it. Accuracy at batch 4 is lower by "
        "{accuracy.effect:+.2f} points ({accuracy.low:+.2f} to {accuracy.high:+.2f}) if left "
        "alone.",
        refuted="Not so: with checkpointing running statistics are {twice.effect:.1e} off those of "
        "counting twice, {mended.effect:.1e} off the plain ones with the other momentum, and "
        "gradients {gradients.effect:.1e} off.",
        partly="Not all of it: with checkpointing running statistics are {twice.effect:.1e} off "
        "those of counting twice, {mended.effect:.1e} off the plain ones with momentum "
        "1 - sqrt(1 - m), and gradients {gradients.effect:.1e} off.",
    ),
    caveats=(
        "Nothing to mend where momentum is None, the average of all batches alike, or a wrapper "
        "holds the statistics in one of the two passes.",
        "The cost is measured after training, where weights no longer move: momentum 0.19 is what "
        "0.1 counted twice comes to.",
    ),
    would_change="A checkpoint that does not run batch norms again, as pytorch issue 96136 asks.",
    metrics={
        "twice_error": "running statistics against those of doubled momentum, relative error",
        "mended_error": "running statistics with mended momentum, relative error",
        "gradient_error": "gradients with checkpoints against those without, relative error",
        "once_error": "running statistics with checkpoints against without, relative error",
        "once_accuracy": "test accuracy, running averages with momentum 0.1",
        "twice_accuracy": "test accuracy, running averages with momentum 0.19 (twice 0.1)",
    },
)
