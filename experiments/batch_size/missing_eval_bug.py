"""A network left in train mode predicts by its batch mates.

Said by: "Batch Normalization, a walkthrough" and "How BN, IN and LN differ". No primary source: it follows from the
definition; how much it costs depends on the batch. One trained network per seed is asked for the classes of 1,000
fixed test images in 20 random compositions of batches of 1 to 256.

    normlab run missing-eval-bug --profile cpu        2 minutes on 2 cores, all shared with domain-shift-hurts-bn
"""

import numpy as np

from normlab.claims.claim import Claim, Part
from normlab.claims.protocols.images import image_protocols, inference_arm
from normlab.claims.rules import exact_within, greater_by

BATCHES = (1, 2, 4, 16, 64, 256)

CLAIM = Claim(
    slug="missing-eval-bug",
    statement="Without eval() a BatchNorm network's predictions depend on the rest of the batch and get worse.",
    documents=("Batch Normalization, a walkthrough", "How BN, IN and LN differ"),
    source="By definition: in train mode a sample is normalized with the statistics of its batch.",
    prediction="supported at batches of 16; more below, less above, and at 1 no flips but the worst accuracy",
    arms=(inference_arm("batchnorm"),),
    protocols=image_protocols(),
    parts=(
        Part(
            "flips",
            "in batches of 16, 5 % of predictions change with the batch mates",
            "flip rate between two random compositions: supported from 5 %, refuted below 2.5 %",
            lambda evidence: greater_by(
                100 * evidence.values("batchnorm", "train_mode_flips_16"), 5.0, "%"
            ),
        ),
        Part(
            "accuracy",
            "in batches of 16 it costs at least 2 points of accuracy",
            "accuracy(eval) - accuracy(train mode, 16): supported from 2 points, refuted below 1",
            lambda evidence: greater_by(
                100
                * (
                    evidence.values("batchnorm", "eval_mode_accuracy")
                    - evidence.values("batchnorm", "train_mode_accuracy_16")
                ),
                2.0,
            ),
        ),
        Part(
            "eval mode",
            "in eval mode no prediction depends on batch or order",
            "share of predictions that differ, batches of 1 to 256: none",
            lambda evidence: exact_within(
                np.concatenate(
                    [evidence.values("batchnorm", f"eval_mode_flips_{size}") for size in BATCHES]
                ),
                0.0,
            ),
        ),
    ),
    caveats=(
        "Test images in random order: batches sorted by class are train_mode_sorted_16_accuracy in the records.",
        "Under domain shift train mode can help: see bn-adapt-running-stats.",
    ),
    would_change="A network so certain of its classes that the noise of 16 samples moves none of them.",
)
