"""Synchronized BatchNorm gives every worker the mean and variance of all workers' samples.

Said by: "Normalization Deep-Dive" and "How BN, IN and LN differ".
Primary source: none but the libraries: Peng et al. 2018 (MegDet) train detectors by it.
Measured: our own layer in gloo processes, since torch's refuses CPU tensors as soon as there is a
process group: against BatchNorm on the joined batch in one process, layer by layer and in a network
of five convolutions; workers with equal counts of samples, and with 5, 1, none and 2.
Cost: normlab run syncbn-equals-global --profile cpu    1 minute on one core
"""

from typing import Any

import numpy as np

from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.evidence import Evidence, Values
from normlab.claims.quantity import Quantity, every
from normlab.claims.rules import Exact

COUNTS = {"2 workers": (4, 4), "4 workers": (2, 2, 2, 2), "uneven workers": (5, 1, 0, 2)}
QUANTITIES = ("output", "input", "weight", "bias", "mean", "variance", "eval")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest relative errors of one layer in both precisions, and of a network's gradient where
    counts are equal."""
    from normlab.measure.distributed import in_processes, network_errors, synced_layer

    counts = options["counts"]
    metrics: dict[str, Any] = {}
    for dtype in ("float64", "float32"):
        found = in_processes(synced_layer, len(counts), seed, dtype, counts)
        metrics |= {f"{name}_{dtype}": value for name, value in found.items()}
    if len(set(counts)) == 1:
        norms = ("syncbatchnorm", {}), ("batchnorm", {})
        metrics["network"] = in_processes(network_errors, len(counts), seed, *norms, counts[0])[
            "gradient"
        ]
    return metrics


def part(
    name: str,
    statement: str,
    quantities: tuple[str, ...],
    dtype: str = "float64",
    tolerance: float = 1e-10,
) -> Part:
    """The largest error of these quantities, in each draw of each arm."""
    names = [f"{quantity}_{dtype}" for quantity in quantities]

    def largest_of(evidence: Evidence) -> Values:
        tables = [evidence.table(tuple(COUNTS), name).ravel() for name in names]
        return np.asarray(np.max(tables, axis=0))

    words = f"relative error of {', '.join(quantities)} in {dtype}, the largest of a draw"
    return Part(name, statement, Quantity(words, "largest error", largest_of), Exact(tolerance))


CLAIM = Claim(
    slug="syncbn-equals-global",
    statement="SyncBatchNorm computes in every worker what BatchNorm computes on the joined batch.",
    documents=("Normalization Deep-Dive", "How BN, IN and LN differ"),
    source="Peng et al. 2018 (MegDet): statistics are summed over devices before any of them "
    "normalizes.",
    prediction="supported",
    arms=tuple(Arm(name, options={"counts": counts}) for name, counts in COUNTS.items()),
    protocols={
        "cpu": Protocol(seeds=20, seconds_per_trial=1.0),
        "smoke": Protocol(seeds=1, seconds_per_trial=1.0),
    },
    trial=trial,
    parts=(
        part(
            "outputs",
            "each worker's outputs, in training and evaluation, are the joined batch's",
            ("output", "eval"),
        ),
        part(
            "input gradient",
            "each worker's input gradient is its part of the joined batch's",
            ("input",),
        ),
        part(
            "parameters",
            "gradients of scale and shift, summed over workers, are the same",
            ("weight", "bias"),
        ),
        part(
            "buffers",
            "every worker has the running statistics of the joined batch",
            ("mean", "variance"),
        ),
        part("single precision", "so it is in single precision", QUANTITIES, "float32", 1e-5),
        Part(
            "network",
            "the averaged gradient of a network with it in every layer is the joined batch's",
            every(
                ("2 workers", "4 workers"),
                ("network",),
                words="difference from the joined batch's gradient, over the largest entry",
            ),
            Exact(1e-10),
        ),
    ),
    caveats=(
        "Our layer, which weights by counts; torch's own runs on GPUs only and is compared there "
        "by a test.",
        "With unequal counts DDP still averages workers' losses with equal weights: the statistics "
        "are exact, the loss is another one.",
    ),
    would_change="A worker whose result differs from the joined batch's by more than rounding.",
)
