"""BatchNorm breaks at a normalization batch of one sample.

Said by: "Normalization Deep-Dive", "Batch, Layer, Group and Instance Norm" and "How BN, IN and LN differ". No primary
source: it follows from the definition where a channel has a single value, and there frameworks raise an error
(tests/norms shows it). On maps BatchNorm of one sample is instance normalization while it trains; what changes is
evaluation, where running statistics take over. The arms are those of bn-batch-below-16 and in-hurts-classification.

    normlab run bn-batch1-fails --profile cpu        nothing more to run after those two; 2 minutes alone on 2 cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.profiles import batchnorm_arm, image_protocols
from normlab.claims.rules import greater_by

CLAIM = Claim(
    slug="bn-batch1-fails",
    statement="BatchNorm breaks when its statistics come from a single sample.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "Normalization Deep-Dive",
        "How BN, IN and LN differ",
    ),
    source="By definition with one value per channel, where PyTorch raises an error; no source measures it on maps.",
    prediction="partly supported: evaluation with running statistics breaks, training equals that of InstanceNorm",
    arms=(
        batchnorm_arm(1),
        Arm("groupnorm", ("norm=groupnorm",)),
        Arm("instancenorm", ("norm=instancenorm",), evaluations=("contrast",)),
    ),
    protocols=image_protocols(),
    parts=(
        Part(
            "evaluation",
            "trained over single samples and evaluated with running statistics, it is 10 points below GroupNorm",
            "accuracy(GN) - accuracy(BN over 1): supported from 10 points, refuted below 5",
            lambda evidence: greater_by(evidence.difference("groupnorm", "batchnorm 1", scale=100), 10.0),
        ),
        Part(
            "training",
            "with the statistics that it trained with, each sample's own, it is still 3 points below InstanceNorm",
            "accuracy(IN) - accuracy(BN over 1, instance statistics): supported from 3 points, refuted below 1.5",
            lambda evidence: greater_by(
                100 * (evidence.values("instancenorm") - evidence.values("batchnorm 1", "instance_test_accuracy")), 3.0
            ),
        ),
    ),
    caveats=(
        "SGD batch 64 throughout: only the number of samples that share statistics is 1.",
        "The catalogue refutes the first part from 3 points down; half the margin, 5, is the rule's own bound.",
        "InstanceNorm itself classifies poorly before global average pooling: see in-hurts-classification.",
    ),
    would_change="Instance statistics at test time that do not bring BatchNorm to InstanceNorm's accuracy.",
)
