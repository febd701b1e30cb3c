"""BatchNorm's statistics are noisy below 16 samples, and accuracy falls.

Said by: "Normalization Deep-Dive" (the threshold of 16), and without a threshold by two more.
Primary source: Wu & He 2018, ResNet-50 on ImageNet: the error of BN grows from 32 to 2 images per
GPU while GN's stays.
Measured: test accuracy over the normalization batch. Normalization batch and SGD batch are separate
here: SGD batch 128 throughout (64 in quick), BN over ghost batches of n samples, so that steps and
gradient noise are the same in every arm; every seed of an arm has a rate of its own.
Cost: normlab run bn-batch-below-16 --profile full    320 trials to its first look, 15.6 hours of
one core; 60 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.figure import NormalizationBatch
from normlab.claims.protocols.images import batchnorm_arm, image_protocols, per_sample_arm
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast, FallsBelow

SIZES = (1, 2, 4, 8, 16, 32, 64)
PER_SAMPLE = (
    "groupnorm",
    "layernorm",
    "instancenorm",
    "frn",
)  # norms that no other sample plays a part in


def batchrenorm_arm(n: int) -> Arm:
    """Batch renormalization over ghost batches of n samples."""
    return Arm(
        f"batchrenorm {n}",
        ("norm=batchrenorm", f"norm.ghost_batch={n}"),
        at={"norm": "batchrenorm", "normalization_batch": n},
    )


def fall(n: int) -> Quantity:
    """Points of accuracy that normalization batch n costs against 64, per seed."""
    return difference(
        "batchnorm 64",
        f"batchnorm {n}",
        words=f"BN's test accuracy at a normalization batch of 64 - at {n}",
    )


CLAIM = Claim(
    slug="bn-batch-below-16",
    statement="Below 16 samples per statistic BatchNorm's accuracy falls.",
    documents=(
        "Normalization Deep-Dive",
        "Batch Normalization, a walkthrough",
        "How BN, IN and LN differ",
    ),
    source="Wu & He 2018: at 2 images per GPU, ResNet-50's ImageNet error with BN is 10.6 points "
    "above that with GN.",
    prediction="partly supported: the knee lies below 8 on small images, since each gives many "
    "values per channel",
    arms=(
        *(batchnorm_arm(n) for n in SIZES),
        # Shown beside, and read by no part.
        *(batchrenorm_arm(n) for n in SIZES[1:-1]),
        *map(per_sample_arm, PER_SAMPLE),
    ),
    protocols=image_protocols(),
    clauses=(
        Part(
            "knee",
            "a normalization batch of 8 costs at least 1 point against 64, and 16 costs less",
            Quantity(
                "BN's test accuracy at a normalization batch of 64 - at 8, and - at 16",
                "points",
                lambda evidence: tuple(
                    100 * evidence.sample(f"batchnorm {n}") for n in (64, 8, 16)
                ),
                tuple(f"batchnorm {n}" for n in (64, 8, 16)),
            ),
            FallsBelow(1.0),
            stands_for="small batches of each GPU",
        ),
    ),
    scope=(
        Part(
            "above",
            "at 16, too, it costs at least 1 point against 64",
            fall(16),
            AtLeast(1.0),
        ),
        Part(
            "four",
            "a normalization batch of 4 costs at least 2 points against 64",
            fall(4),
            AtLeast(2.0),
        ),
        Part(
            "two",
            "a normalization batch of 2 costs at least 5 points against 64",
            fall(2),
            AtLeast(5.0),
        ),
        Part(
            "one",
            "a normalization batch of 1 costs at least 10 points against 64",
            fall(1),
            AtLeast(10.0),
        ),
        Part(
            "groupnorm",
            "over 2 samples BatchNorm is at least 1 point below GroupNorm",
            difference(
                "groupnorm",
                "batchnorm 2",
                words="test accuracy, GN - BN at a normalization batch of 2",
            ),
            AtLeast(1.0),
        ),
    ),
    answers=Answers(
        supported="Below 16 samples per statistic BatchNorm loses accuracy: {knee.effect:.1f} "
        "points ({knee.low:.1f} to {knee.high:.1f}) at 8 against 64, {four.effect:.1f} at 4 and "
        "{two.effect:.1f} at 2; at 16 it is {above.effect:.1f}.",
        refuted="The fall does not begin below 16: against 64 samples per statistic BatchNorm "
        "loses {above.effect:.1f} points at 16, {knee.effect:.1f} ({knee.low:.1f} to "
        "{knee.high:.1f}) at 8 and {two.effect:.1f} at 2.",
        inconclusive="BatchNorm loses {two.effect:.1f} points ({two.low:.1f} to {two.high:.1f}) "
        "with two samples per statistic against 64; whether the fall begins at 16 is open: "
        "{above.effect:.1f} points there, {knee.effect:.1f} at 8.",
    ),
    caveats=(
        "A small network on images of 32x32 in full: a sample gives 9 to 225 values per channel "
        "and statistic. In quick it is a plain CNN on 5,000 images of 16x16.",
        "Ghost batches: statistics noise alone. True small batches are in gn-ln-fix-small-batch, "
        "a ResNet-20 is the profile gpu.",
    ),
    would_change="A knee at 16 on larger images or at 1x1 maps, where a sample gives a single "
    "value.",
    figure=NormalizationBatch(bands=PER_SAMPLE),
)
