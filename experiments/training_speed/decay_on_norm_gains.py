"""Weight decay on the gains and shifts of norms changes accuracy.

Said by: practitioners' threads: yolov3 469 (a bug to be mended), autrainer 166 (off by default, and
doubted), torch7 846.
Primary source: Summers & Dinneen 2019 (arXiv 1906.03548) study it; He et al. 2019 (arXiv
1812.01187), section 3.1, decay weights alone as one of several heuristics.
Measured: test accuracy with the usual decay of 5e-4 on the weights alone, and on gains and shifts
as well; each at a rate that the seed chooses. Both signs count: threads expect either.
Cost: normlab run decay-on-norm-gains --profile full    80 trials to its first look, 3.9 hours of
one core; 30 of them are other claims', too
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.either_way import Changes
from normlab.claims.protocols.images import batchnorm_arm, image_protocols, per_sample_arm
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast

DECAYED = "optim.decay_norm=all"


def decayed(arm: Arm) -> Arm:
    """The same with decay on all gains and shifts."""
    return replace(
        arm,
        name=f"{arm.name}, decayed",
        overrides=(*arm.overrides, DECAYED),
        evaluations=(),
        at={**arm.at, "decay": "all"},
    )


def spared(arm: Arm, norm: str) -> Quantity:
    """Points of accuracy that sparing gains and shifts is worth."""
    return difference(
        arm.name,
        decayed(arm).name,
        words=f"test accuracy with {norm}, decay on the weights alone - on gains and shifts, too",
    )


BATCHNORM, GROUPNORM = batchnorm_arm(), per_sample_arm("groupnorm")

CLAIM = Claim(
    slug="decay-on-norm-gains",
    statement="Weight decay on BatchNorm's gains and shifts changes a network's accuracy.",
    documents=("Practitioners' threads",),
    source="He et al. 2019 decay weights alone, as one of several heuristics; Summers & Dinneen "
    "2019 study the decay of gains and shifts.",
    prediction="refuted: a decay of 5e-4 over 2,800 steps moves gains by little, and the next "
    "layer makes up for it",
    arms=(BATCHNORM, decayed(BATCHNORM), GROUPNORM, decayed(GROUPNORM)),
    protocols=image_protocols(),
    clauses=(
        Part(
            "batchnorm",
            "decay on BatchNorm's gains and shifts changes the accuracy by at least half a point",
            spared(BATCHNORM, "BN"),
            Changes(0.5),
            expected=0.0,
            noise=0.55,
        ),
    ),
    scope=(
        Part(
            "groupnorm",
            "decay on GroupNorm's changes it by at least half a point",
            spared(GROUPNORM, "GN"),
            Changes(0.5),
        ),
        Part(
            "spared",
            "sparing BatchNorm's gains and shifts is better",
            spared(BATCHNORM, "BN"),
            AtLeast(0.0),
        ),
    ),
    answers=Answers(
        supported="Sparing BatchNorm's gains and shifts the weight decay is worth "
        "{batchnorm.effect:+.2f} points ({batchnorm.low:+.2f} to {batchnorm.high:+.2f}), with "
        "GroupNorm {groupnorm.effect:+.2f}.",
        refuted="Whether weight decay falls on BatchNorm's gains and shifts hardly matters: "
        "sparing them is worth {batchnorm.effect:+.2f} points ({batchnorm.low:+.2f} to "
        "{batchnorm.high:+.2f}), with GroupNorm {groupnorm.effect:+.2f}.",
        inconclusive="Sparing BatchNorm's gains and shifts the weight decay is worth "
        "{batchnorm.effect:+.2f} points ({batchnorm.low:+.2f} to {batchnorm.high:+.2f}): whether "
        "half a point either way is open.",
    ),
    caveats=(
        "Eight epochs at a decay of 5e-4: over hundreds of epochs gains have the time to shrink.",
        "Every norm of this network is behind a convolution; of norms before weight matrices see "
        "decay-norm-places.",
    ),
    would_change="A longer training or a larger decay by which gains shrink until features die.",
)
