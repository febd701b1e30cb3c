"""In data-parallel training every worker's BatchNorm has statistics of its own, which makes them inconsistent.

Said by: "Normalization Deep-Dive" and "How BN, IN and LN differ". Primary source: torch's DistributedDataParallel: it
averages gradients and hands the first process's buffers to all. Identities in float64: the gradient against ghost
batches in one process, the buffers against a network that has seen the first worker's samples only. What it costs: two
workers of 32 samples, each with random images, with five classes of its own, or with images of its own brightness;
accuracy in evaluation mode with the buffers that DDP saves. All arms at the rate that is best for BatchNorm and
GroupNorm in bn-batch-below-16.

    normlab run ddp-bn-local-stats --profile cpu        4 minutes on 2 cores
"""

from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.rules import equivalent_within, exact_within, greater_by

DRAWS = 4  # of the identities, in each trial
KINDS = {"local": "batchnorm", "synchronized": "syncbatchnorm", "groupnorm": "groupnorm"}
WORKERS = (2, 4)


def trial(options, seed):
    """`gradient_i`, `buffers_i`: relative errors of the identities; or accuracies of a network that workers trained."""
    from normlab.measure.distributed import in_processes, network_errors, train_workers

    if "workers" in options:
        norms = ("batchnorm", {}), ("batchnorm", {"ghost_batch": 8})
        draws = range(DRAWS * seed, DRAWS * seed + options.get("draws", DRAWS))
        found = [
            in_processes(network_errors, options["workers"], draw, *norms, 8) for draw in draws
        ]
        return {f"{name}_{i}": errors[name] for i, errors in enumerate(found) for name in errors}
    return in_processes(
        train_workers, 2, options["overrides"], seed, KINDS[options["norm"]], options["data_of"]
    )


def draws(evidence, name):
    import numpy as np

    arms = [f"{workers} workers" for workers in WORKERS]
    return np.concatenate([evidence.table(arms, f"{name}_{i}").ravel() for i in range(DRAWS)])


def exact(name, statement, metric):
    rule = "largest difference of 40 draws within 1e-10 of the largest value (float64)"
    return Part(
        name, statement, rule, lambda evidence: exact_within(draws(evidence, metric), 1e-10)
    )


def costs(name, statement, points, better, worse):
    rule = f"accuracy({better[0]}) - accuracy({worse[0]}): supported from {points:g} points, refuted below {points / 2:g}"

    def decide(evidence):
        return greater_by(100 * (evidence.values(*better) - evidence.values(*worse)), points)

    return Part(name, statement, rule, decide)


PROTOCOLS = as_options(tiny_protocols("optim.lr=0.1", epochs=3))
SMOKE = PROTOCOLS["smoke"]
PROTOCOLS["smoke"] = replace(SMOKE, options={**SMOKE.options, "draws": 1})
LOCAL = "local, classes"
GROUPNORM = ("groupnorm, all", "groupnorm, classes")
CLAIM = Claim(
    slug="ddp-bn-local-stats",
    statement="Data-parallel BatchNorm has each worker's own statistics, saves the first one's, and loses accuracy.",
    documents=("Normalization Deep-Dive", "How BN, IN and LN differ"),
    source="torch: DDP averages gradients; buffers are those of rank 0. Goyal et al. 2017 train so, 32 samples a GPU.",
    prediction="partly supported: the mechanism as said; no loss with random parts, a large one with skewed workers",
    arms=(
        *(Arm(f"{workers} workers", options={"workers": workers}) for workers in WORKERS),
        *(
            Arm(f"{norm}, {data_of}", options={"norm": norm, "data_of": data_of})
            for norm in KINDS
            for data_of in ("all", "classes", "shifted")
        ),
    ),
    protocols=PROTOCOLS,
    trial=trial,
    parts=(
        exact("own statistics", "the workers' gradient is that of ghost batches in one process", "gradient"),
        exact("saved buffers", "the saved running statistics are those of the first worker's samples alone", "buffers"),
        costs("random parts", "with 32 random images a worker this costs accuracy", 0.5,
              ("synchronized, all", "accuracy"), ("local, all", "accuracy")),
        costs("own classes", "with classes of their own, workers lose accuracy by it", 5.0,
              ("synchronized, classes", "accuracy"), (LOCAL, "accuracy")),
        costs("shifted", "with images two deviations apart, workers lose accuracy by it", 5.0,
              ("synchronized, shifted", "accuracy"), ("local, shifted", "accuracy")),
        costs("first buffers", "with classes of their own, saving the first worker's buffers only costs accuracy",
              5.0, (LOCAL, "pooled_accuracy"), (LOCAL, "accuracy")),
        Part(
            "groupnorm",
            "classes of their own cost workers with GroupNorm nothing of that size",
            "accuracy(random parts) - accuracy(own classes) within 2.5 points either way (TOST)",
            lambda evidence: equivalent_within(evidence.difference(*GROUPNORM, "accuracy", 100), 2.5),
        ),
    ),
    caveats=(
        "A small CNN on CIFAR-10 at 8x8 pixels, three epochs without augmentation, one learning rate for all arms.",
        "Shifted images are tested as either worker sees them.",
    ),
    would_change="A framework that saves statistics of all workers, or random parts that cost half a point.",
)  # fmt: skip
