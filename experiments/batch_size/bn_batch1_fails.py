"""BatchNorm breaks at a normalization batch of one sample.

Said by: "Normalization Deep-Dive", "Batch, Layer, Group and Instance Norm" and "How BN, IN and LN
differ".
Primary source: none: it follows from the definition where a channel has a single value, and there
frameworks raise an error (tests/norms shows it).
Measured: on maps BatchNorm of one sample is instance normalization while it trains; what changes is
evaluation, where running statistics take over. All arms but one are those of bn-batch-below-16 and
in-hurts-classification. That one is tuned with instance statistics too: what running statistics
make of a network over single samples is close to chance at every learning rate, so that they would
tune by noise.
Cost: normlab run bn-batch1-fails --profile full    80 trials to its first look, 3.9 hours of one
core; 45 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import batchnorm_arm, image_protocols, per_sample_arm
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast

CLAIM = Claim(
    slug="bn-batch1-fails",
    statement="BatchNorm breaks when its statistics come from a single sample.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "Normalization Deep-Dive",
        "How BN, IN and LN differ",
    ),
    source="By definition with one value per channel, where PyTorch raises an error; no source "
    "measures it on maps.",
    prediction="partly supported: evaluation with running statistics breaks, training equals that "
    "of InstanceNorm",
    arms=(
        batchnorm_arm(1),
        Arm(
            "batchnorm 1 instance",
            ("norm=batchnorm", "norm.ghost_batch=1", "norm.statistics=instance"),
        ),
        per_sample_arm("groupnorm"),
        per_sample_arm("instancenorm"),
    ),
    protocols=image_protocols(),
    clauses=(
        Part(
            "evaluation",
            "trained over single samples and evaluated with running statistics, it is 10 points "
            "below GroupNorm",
            difference("groupnorm", "batchnorm 1", words="test accuracy, GN - BN over 1 sample"),
            AtLeast(10.0),
            stands_for="an SGD batch of one",
            expected=18.0,
            noise=5.0,
        ),
    ),
    scope=(
        Part(
            "training",
            "with the statistics that it trained with, each sample's own, it is still 3 points "
            "below InstanceNorm",
            difference(
                "instancenorm",
                "batchnorm 1 instance",
                words="test accuracy, IN - BN over 1 sample, tuned and tested with each sample's "
                "own statistics",
            ),
            AtLeast(3.0),
        ),
    ),
    answers=Answers(
        supported="Trained with statistics of one sample and evaluated with running ones, "
        "BatchNorm is {evaluation.effect:.0f} points ({evaluation.low:.0f} to "
        "{evaluation.high:.0f}) below GroupNorm; with each sample's own statistics it is "
        "{training.effect:+.1f} points below InstanceNorm.",
        refuted="Statistics of one sample do not break BatchNorm: evaluated with running ones it "
        "is {evaluation.effect:.1f} points ({evaluation.low:.1f} to {evaluation.high:.1f}) below "
        "GroupNorm.",
        inconclusive="Trained with statistics of one sample, BatchNorm is {evaluation.effect:.0f} "
        "points ({evaluation.low:.0f} to {evaluation.high:.0f}) below GroupNorm: whether by 10 is "
        "open.",
    ),
    caveats=(
        "The SGD batch is 128 (64 in quick): only the number of samples that share statistics is "
        "1.",
        "InstanceNorm itself classifies poorly before global average pooling: see "
        "in-hurts-classification.",
    ),
    would_change="Instance statistics at test time that do not bring BatchNorm to InstanceNorm's "
    "accuracy.",
)
