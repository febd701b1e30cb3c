"""Synchronized BatchNorm gives every worker the mean and variance of all workers' samples.

Said by: "Normalization Deep-Dive" and "How BN, IN and LN differ".
Primary source: none but the libraries: Peng et al. 2018 (MegDet, arXiv 1711.07240) train detectors
by it.
Measured: errors of our own layer in gloo processes, since torch's refuses CPU tensors as soon as
there is a process group: against BatchNorm on the joined batch in one process, layer by layer and
in a network of five convolutions; workers with equal counts of samples, and with 5, 1, none and 2.
Cost: normlab run syncbn-equals-global --profile full    60 trials, a minute of one core
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, every
from normlab.claims.rules import Exact

COUNTS = {"2 workers": (4, 4), "4 workers": (2, 2, 2, 2), "uneven workers": (5, 1, 0, 2)}
EVEN = ("2 workers", "4 workers")
NO_OPTIONS: dict[str, int] = {}  # of a norm
QUANTITIES = ("output", "input", "weight", "bias", "mean", "variance", "eval")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest relative errors of one layer in both precisions, and of a network's gradient.

    The gradient where counts are equal.
    """
    from normlab.measure.distributed import in_processes, network_errors, synced_layer

    counts = options["counts"]
    metrics: dict[str, Any] = {}
    for dtype in ("float64", "float32"):
        errors = in_processes(synced_layer, len(counts), seed, dtype, counts)
        metrics |= {f"{name}_{dtype}": error for name, error in errors.items()}
    # With unequal counts DDP weights the workers' losses equally, which is another loss.
    if len(set(counts)) == 1:
        synchronized, joined = ("syncbatchnorm", NO_OPTIONS), ("batchnorm", NO_OPTIONS)
        errors = in_processes(network_errors, len(counts), seed, synchronized, joined, counts[0])
        metrics["network"] = errors["gradient"]
    return metrics


def part(
    name: str,
    statement: str,
    quantities: Sequence[str],
    dtype: str = "float64",
    tolerance: float = 1e-10,
) -> Part:
    """The largest error of the named quantities, by draw and arm."""

    def read(evidence: Evidence) -> Values:
        tables = [evidence.table(tuple(COUNTS), f"{one}_{dtype}").ravel() for one in quantities]
        return np.asarray(np.stack(tables).max(axis=0))

    words = f"largest relative error of {', '.join(quantities)} in {dtype}"
    return Part(
        name, statement, Quantity(words, "largest error", read, tuple(COUNTS)), Exact(tolerance)
    )


IN_WORDS = {
    "output": "output",
    "eval": "output in eval mode",
    "input": "input gradient",
    "weight": "gradient of the gain",
    "bias": "gradient of the shift",
    "mean": "running mean",
    "variance": "running variance",
}


CLAIM = Claim(
    slug="syncbn-equals-global",
    statement="SyncBatchNorm computes in every worker what BatchNorm computes on the joined batch.",
    documents=("Normalization Deep-Dive", "How BN, IN and LN differ"),
    source="Peng et al. 2018 (MegDet): statistics are summed over devices before any of them "
    "normalizes.",
    prediction="supported",
    arms=tuple(Arm(name, options={"counts": counts}) for name, counts in COUNTS.items()),
    protocols=direct_protocols(20, 1.0),
    trial=trial,
    clauses=(
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
                EVEN,
                ["network"],
                words="largest difference of the gradient, over the largest entry, in float64",
            ),
            Exact(1e-10),
        ),
    ),
    answers=Answers(
        supported="SyncBatchNorm computes in every worker what BatchNorm computes on the joined "
        "batch: outputs to {outputs.effect:.0e}, the gradient of a network to "
        "{network.effect:.0e}.",
        refuted="SyncBatchNorm differs from BatchNorm on the joined batch: outputs by "
        "{outputs.effect:.1e}, the gradient of a network by {network.effect:.1e}.",
        partly="Not all of SyncBatchNorm is BatchNorm on the joined batch: outputs differ by "
        "{outputs.effect:.1e}, input gradients by {input gradient.effect:.1e}, the gradient of a "
        "network by {network.effect:.1e}.",
    ),
    caveats=(
        "Our layer, which weights by counts; torch's own runs on GPUs only and is compared there "
        "by a test.",
        "With unequal counts DDP still averages workers' losses with equal weights: the statistics "
        "are exact, the loss is another one.",
    ),
    would_change="A worker whose result differs from the joined batch's by more than rounding.",
    first_seed=0,
    metrics={
        **{
            f"{name}_{dtype}": f"{words} against the joined batch's, relative error, {dtype}"
            for name, words in IN_WORDS.items()
            for dtype in ("float64", "float32")
        },
        "network": "gradient of a network against the joined batch's, relative error",
    },
)
