"""Gradient accumulation enlarges the effective batch and so cures BatchNorm at small batches.

Said by: "How BN, IN and LN differ".
Primary source: none; maintainers say the opposite: MatConvNet issue 405, run:ai issue 14,
GradientAccumulator issues 6 and 47. Accumulation sums gradients, while each micro-batch keeps its
own statistics.
Measured: twice: the accumulated gradient against that of the whole batch, and accuracy. A larger
SGD batch has fewer steps at equal samples, so BatchNorm's fall is what it loses beyond GroupNorm,
whose accumulated gradient is exact.
Cost: normlab run gradaccum-fixes-bn --profile full    100 trials to its first look, 2.3 hours of
one core; 60 of them are other claims', too
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import Evidence
from normlab.claims.protocols.contrasts import contrast, weighted
from normlab.claims.protocols.images import true_batch_arm, true_batch_protocols
from normlab.claims.quantity import Quantity, every
from normlab.claims.rules import AtLeast, Exact

HALF = {
    "batchnorm 2 x 16": 1.0,
    "batchnorm 2": -0.5,
    "batchnorm 32": -0.5,
    "groupnorm 2": 0.5,
    "groupnorm 32": -0.5,
}  # cured - own fall / 2


def errors(arm: str) -> Quantity:
    """Relative error of the accumulated gradient of 64 samples, every micro-batch and seed."""
    return every(
        [arm],
        [f"accumulation_error_{size}" for size in (2, 4, 8, 32)],
        words="distance of the accumulated gradient from that of the whole batch, over the "
        "latter's size, micro-batches of 2, 4, 8 and 32 of 64 samples in float64",
        unit="relative error",
    )


# Own fall = (BN at 32 - BN at 2) - (GN at 32 - GN at 2). Accumulated, BN has as many steps as GN at
# 32, so what is left of the fall is (GN at 32 - BN accumulated) - (GN at 32 - BN at 32).
WON = contrast(weighted("test_accuracy", HALF), "accuracy won back beyond half of the fall")


def control(evidence: Evidence) -> str:
    errors_of_groupnorm = errors("groupnorm 32").read(evidence)
    return f"with GroupNorm the gradient is off by {np.max(errors_of_groupnorm):.2g}"


CLAIM = Claim(
    slug="gradaccum-fixes-bn",
    statement="Gradient accumulation enlarges the effective batch, and so cures BatchNorm at small "
    "batches.",
    documents=("How BN, IN and LN differ",),
    source="None; maintainers of several libraries answer that statistics stay those of each "
    "micro-batch.",
    prediction="refuted: the gradient differs, and so accuracy stays that of the micro-batch",
    arms=(
        true_batch_arm("batchnorm", 2),
        true_batch_arm("batchnorm", 2, accumulate=16),
        true_batch_arm("batchnorm", 32),
        true_batch_arm("groupnorm", 2),
        true_batch_arm("groupnorm", 32),
    ),
    protocols=true_batch_protocols(),
    clauses=(
        Part(
            "accuracy",
            "accumulating micro-batches of 2 to 32 wins back at least half of what BatchNorm "
            "loses from 32 to 2 beyond GroupNorm",
            Quantity(
                "accuracy won back by accumulation - half of what BN loses from 32 to 2 more than "
                "GN",
                "points",
                WON.read,
                WON.arms,
                beside=control,
            ),
            AtLeast(0.0),
            expected=-2.0,
            noise=2.0,
        ),
    ),
    scope=(
        Part(
            "gradient",
            "the gradient accumulated over micro-batches is that of the whole batch",
            errors("batchnorm 32"),
            Exact(1e-6),
        ),
    ),
    answers=Answers(
        supported="Accumulating 16 micro-batches of 2 wins back more than half of what BatchNorm "
        "loses at 2: {accuracy.effect:.1f} points ({accuracy.low:.1f} to {accuracy.high:.1f}) "
        "above the half.",
        refuted="Accumulation does not cure BatchNorm: beside GroupNorm with as many updates, "
        "16 accumulated micro-batches of 2 miss half of the loss by {accuracy.size:.1f} points "
        "({accuracy.low:+.1f} to {accuracy.high:+.1f} from the half), and their gradient is off "
        "that of the whole batch by up to {gradient.effect:.0%}.",
        inconclusive="Whether accumulation wins back half of what BatchNorm loses is open: "
        "{accuracy.effect:+.1f} points ({accuracy.low:.1f} to {accuracy.high:.1f}) from the half; "
        "the gradient itself is off by up to {gradient.effect:.0%}.",
    ),
    caveats=(
        "GroupNorm at 32 stands for GroupNorm accumulated to 32: the same gradients in exact "
        "arithmetic.",
    ),
    would_change="Accumulation that also accumulates the statistics, which needs a second pass.",
)
