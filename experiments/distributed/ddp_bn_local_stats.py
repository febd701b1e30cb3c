"""In data-parallel training every worker's BatchNorm has its own statistics, which disagree.

Said by: "Normalization Deep-Dive" and "How BN, IN and LN differ".
Primary source: torch's DistributedDataParallel: it averages gradients and hands the first process's
buffers to all.
Measured: identities in float64: the gradient against ghost batches in one process, the buffers
against a network that has seen the first worker's samples only. What it costs: two workers of 32
samples, each with random images, with five classes of its own, or with images of its own
brightness; accuracy in evaluation mode with the buffers that DDP saves. All arms at one rate, which
suits both BatchNorm and GroupNorm in bn-batch-below-16.
Cost: normlab run ddp-bn-local-stats --profile full    55 trials to its first look, 22 minutes of
one core
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, difference, every, metric_difference
from normlab.claims.rules import AtLeast, Exact, Within
from normlab.records.measurement import Measurement

DRAWS = 4  # of the identities, in each trial
KINDS = {"local": "batchnorm", "synchronized": "syncbatchnorm", "groupnorm": "groupnorm"}
WORKERS = (2, 4)
DATA_OF = {  # a worker's images
    "all": "random images",
    "classes": "classes of their own",
    "shifted": "images of their own brightness",
}


def trial(options: Options, seed: int) -> Measurement:
    """`gradient_i`, `buffers_i`: relative errors of the identities, or what workers trained.

    Of a network that workers trained: accuracies.
    """
    from normlab.measure.distributed import in_processes, train_workers

    if "workers" in options:
        # Each trial has draws of its own, so that seeds share none.
        first = DRAWS * seed
        draws = range(first, first + options.get("draws", DRAWS))
        return Measurement(identities(options["workers"], draws))
    overrides, kind = options["overrides"], KINDS[options["norm"]]
    trained: Measurement = in_processes(train_workers, 2, overrides, seed, kind, options["data_of"])
    return trained


def identities(workers: int, draws: range) -> dict[str, float]:
    """Relative errors against ghost batches of 8 in one process."""
    from normlab.measure.distributed import in_processes, network_errors

    own: tuple[str, dict[str, int]] = ("batchnorm", {})
    ghost = ("batchnorm", {"ghost_batch": 8})
    metrics: dict[str, float] = {}
    for i, draw in enumerate(draws):
        # Ghost batches of 8 in one process are the workers' 8 samples each.
        errors = in_processes(network_errors, workers, draw, own, ghost, 8)
        metrics |= {f"{name}_{i}": error for name, error in errors.items()}
    return metrics


def exact(name: str, statement: str, metric: str) -> Part:
    words = (
        f"largest difference of the {metric} from one process's, over the largest value, in float64"
    )
    arms = [f"{workers} workers" for workers in WORKERS]
    errors = every(arms, [f"{metric}_{i}" for i in range(DRAWS)], words=words)
    return Part(name, statement, errors, Exact(1e-10))


def against_synchronized(data_of: str) -> Quantity:
    arms = f"synchronized, {data_of}", f"local, {data_of}"
    words = f"test accuracy with {DATA_OF[data_of]}, synchronized - own statistics"
    return difference(*arms, "accuracy", words=words)


def protocols() -> dict[str, Protocol]:
    """Of trainings; a smoke trial has one draw of the identities."""
    by_name = as_options(
        tiny_protocols("optim.lr=0.1", epochs=3, full_epochs=2, looks=Looks(), full_looks=Looks())
    )
    smoke = by_name["smoke"]
    by_name["smoke"] = replace(smoke, options={**smoke.options, "draws": 1})
    return by_name


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
            for data_of in DATA_OF
        ),
    ),
    protocols=protocols(),
    trial=trial,
    clauses=(
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
        Part(
            "random parts",
            "with 32 random images a worker this costs at least 1 point of accuracy",
            against_synchronized("all"),
            AtLeast(1.0),
            stands_for="many GPUs",
            expected=0.3,
            noise=0.9,
        ),
    ),
    scope=(
        Part(
            "own classes",
            "with classes of their own, that costs workers at least 5 points",
            against_synchronized("classes"),
            AtLeast(5.0),
        ),
        Part(
            "shifted",
            "with images two deviations apart, that costs workers at least 5 points",
            against_synchronized("shifted"),
            AtLeast(5.0),
        ),
        Part(
            "first buffers",
            "with classes of their own, saving the first worker's buffers alone costs at least 5 "
            "points",
            metric_difference(
                "local, classes",
                "pooled_accuracy",
                "accuracy",
                words="test accuracy, buffers of all workers - of the first",
            ),
            AtLeast(5.0),
        ),
        Part(
            "groupnorm",
            "classes of their own cost workers with GroupNorm nothing of that size",
            difference(
                "groupnorm, all",
                "groupnorm, classes",
                "accuracy",
                words="test accuracy with GroupNorm, random parts - own classes",
            ),
            Within(2.5),
        ),
    ),
    answers=Answers(
        supported="Every worker's BatchNorm has statistics of its own, the saved ones are the "
        "first worker's, and with random parts of the data that costs {random parts.effect:.1f} "
        "points ({random parts.low:.1f} to {random parts.high:.1f}).",
        refuted="Neither the statistics nor the loss are as claimed: random parts cost "
        "{random parts.effect:+.1f} points ({random parts.low:.1f} to {random parts.high:.1f}).",
        partly="Every worker's BatchNorm has statistics of its own and the saved ones are the "
        "first worker's, but with random parts of the data that costs {random parts.effect:+.1f} "
        "points ({random parts.low:.1f} to {random parts.high:.1f}); with classes of their own "
        "{own classes.effect:.1f}.",
        inconclusive="Every worker's BatchNorm has statistics of its own and the saved ones are "
        "the first worker's; with random parts of the data that costs {random parts.effect:+.1f} "
        "points ({random parts.low:.1f} to {random parts.high:.1f}), and whether 1 is open.",
    ),
    caveats=(
        "A small CNN on 5,000 images of CIFAR-10, 8x8 pixels and 3 epochs in quick, 16x16 in "
        "full, without augmentation; two workers, one learning rate for all arms.",
        "Shifted images are tested as either worker sees them.",
    ),
    would_change="A framework that saves statistics of all workers, or random parts that cost more "
    "than a point.",
    metrics={
        **{
            f"gradient_{i}": f"gradient against that of ghost batches, relative error, draw {i + 1}"
            for i in range(DRAWS)
        },
        **{
            f"buffers_{i}": f"statistics against the first worker's, relative error, draw {i + 1}"
            for i in range(DRAWS)
        },
        "accuracy": "test accuracy, statistics of the first worker",
        "pooled_accuracy": "test accuracy, statistics of all workers together",
    },
)
