"""In data-parallel training every worker's BatchNorm has its own statistics, which disagree.

Said by: "Normalization Deep-Dive" and "How BN, IN and LN differ".
Primary source: torch's DistributedDataParallel: it averages gradients and hands the first process's
buffers to all.
Measured: identities in float64: the gradient against ghost batches in one process, the buffers
against a network that has seen the first worker's samples only. What it costs: two workers of 32
samples, each with random images, with five classes of its own, or with images of its own
brightness; accuracy in evaluation mode with the buffers that DDP saves. All arms at the rate that
is best for BatchNorm and GroupNorm in bn-batch-below-16.
Cost: normlab run ddp-bn-local-stats --profile cpu    4 minutes on 2 cores
"""

from dataclasses import replace
from typing import Any

from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, difference, every
from normlab.claims.rules import AtLeast, Exact, Within

DRAWS = 4  # of the identities, in each trial
KINDS = {"local": "batchnorm", "synchronized": "syncbatchnorm", "groupnorm": "groupnorm"}
WORKERS = (2, 4)
IDENTITY_ARMS = tuple(f"{workers} workers" for workers in WORKERS)


def trial(options: Options, seed: int) -> dict[str, Any]:
    """`gradient_i`, `buffers_i`: relative errors of the identities; or accuracies of a network that
    workers trained."""
    from normlab.measure.distributed import in_processes, network_errors, train_workers

    if "workers" not in options:
        given = (options["overrides"], seed, KINDS[options["norm"]], options["data_of"])
        accuracies: dict[str, Any] = in_processes(train_workers, 2, *given)
        return accuracies
    norms = ("batchnorm", {}), ("batchnorm", {"ghost_batch": 8})
    metrics = {}
    for index in range(options.get("draws", DRAWS)):
        draw = DRAWS * seed + index
        errors = in_processes(network_errors, options["workers"], draw, *norms, 8)
        metrics |= {f"{name}_{index}": error for name, error in errors.items()}
    return metrics


def exact(name: str, statement: str, metric: str) -> Part:
    """An identity, over every draw of every number of workers."""
    metrics = [f"{metric}_{index}" for index in range(DRAWS)]
    words = f"relative difference of {metric}, in float64, by draw and number of workers"
    return Part(name, statement, every(IDENTITY_ARMS, metrics, words=words), Exact(1e-10))


def costs(
    name: str, statement: str, points: float, better: tuple[str, str], worse: tuple[str, str]
) -> Part:
    """How many points (arm, metric) `better` is above `worse`."""

    def points_lost(evidence: Evidence) -> Values:
        return 100 * (evidence.values(*better) - evidence.values(*worse))

    arms = [arm for arm, _ in (better, worse)]
    words = f"accuracy of {arms[0]} less that of {arms[1]}"
    if arms[0] == arms[1]:
        words = f"accuracy of {arms[0]} with the workers' statistics averaged less that as saved"
    return Part(name, statement, Quantity(words, "points", points_lost), AtLeast(points))


PROTOCOLS = as_options(tiny_protocols("optim.lr=0.1", epochs=3))
SMOKE = PROTOCOLS["smoke"]
PROTOCOLS["smoke"] = replace(SMOKE, options={**SMOKE.options, "draws": 1})
LOCAL = "local, classes"

CLAIM = Claim(
    slug="ddp-bn-local-stats",
    statement="Data-parallel BatchNorm has each worker's own statistics, saves the first one's, "
    "and loses accuracy.",
    documents=("Normalization Deep-Dive", "How BN, IN and LN differ"),
    source="torch: DDP averages gradients; buffers are those of rank 0. Goyal et al. 2017 train "
    "so, 32 samples a GPU.",
    prediction="partly supported: the mechanism as said; no loss with random parts, a large one "
    "with skewed workers",
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
        exact(
            "own statistics",
            "the workers' gradient is that of ghost batches in one process",
            "gradient",
        ),
        exact(
            "saved buffers",
            "the saved running statistics are those of the first worker's samples alone",
            "buffers",
        ),
        costs(
            "random parts",
            "with 32 random images a worker this costs accuracy",
            0.5,
            ("synchronized, all", "accuracy"),
            ("local, all", "accuracy"),
        ),
        costs(
            "own classes",
            "with classes of their own, workers lose accuracy by it",
            5.0,
            ("synchronized, classes", "accuracy"),
            (LOCAL, "accuracy"),
        ),
        costs(
            "shifted",
            "with images two deviations apart, workers lose accuracy by it",
            5.0,
            ("synchronized, shifted", "accuracy"),
            ("local, shifted", "accuracy"),
        ),
        costs(
            "first buffers",
            "with classes of their own, saving the first worker's buffers only costs accuracy",
            5.0,
            (LOCAL, "pooled_accuracy"),
            (LOCAL, "accuracy"),
        ),
        Part(
            "groupnorm",
            "classes of their own cost workers with GroupNorm nothing of that size",
            difference(
                "groupnorm, all",
                "groupnorm, classes",
                "accuracy",
                words="accuracy of GroupNorm with random parts less that with own classes",
            ),
            Within(2.5),
        ),
    ),
    caveats=(
        "A small CNN on CIFAR-10 at 8x8 pixels, three epochs without augmentation, one learning "
        "rate for all arms.",
        "Shifted images are tested as either worker sees them.",
    ),
    would_change="A framework that saves statistics of all workers, or random parts that cost half "
    "a point.",
)
