"""BatchNorm's statistics are noisy below 16 samples, and accuracy falls.

Said by: "Normalization Deep-Dive" (the threshold of 16), and without a threshold by two more.
Primary source: Wu & He 2018, ResNet-50 on ImageNet: the error of BN grows from 32 to 2 images per
GPU while GN's stays.
Measured: test accuracy over the normalization batch. Normalization batch and SGD batch are separate
here: SGD batch 64 throughout, BN over ghost batches of n samples, so that steps and gradient noise
are the same in every arm; each arm is tuned.
Cost: normlab run bn-batch-below-16 --profile cpu    195 trials of 4 to 5 s: about 8 minutes on 2
idle cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.figure import NormalizationBatch
from normlab.claims.protocols.images import batchnorm_arm, image_protocols
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast, Within

SIZES = (1, 2, 4, 8, 16, 32, 64)
PER_SAMPLE = ("groupnorm", "layernorm", "frn")  # norms that no other sample plays a part in


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
        *(Arm(kind, (f"norm={kind}",), at={"norm": kind}) for kind in PER_SAMPLE),
    ),
    protocols=image_protocols(),
    parts=(
        Part(
            "knee",
            "a normalization batch of 8 costs at least 1 point against 64",
            fall(8),
            AtLeast(1.0),
        ),
        Part("above", "16 samples are enough: within 1 point of 64", fall(16), Within(1.0)),
        Part(
            "two",
            "a normalization batch of 2 costs at least 5 points against 64",
            fall(2),
            AtLeast(5.0),
        ),
    ),
    caveats=(
        "Small images, a small network: a sample gives 16 to 256 values per channel and statistic.",
    ),
    would_change="A knee at 16 on larger images or at 1x1 maps, where a sample gives a single "
    "value.",
    figure=NormalizationBatch(bands=PER_SAMPLE),
)
