"""Instance normalization discards what classification needs.

Said by: "Differences between Batch, Layer, Group and Instance Norm" and "How BN, IN and LN differ".
Primary source: Wu & He 2018, whose abstract says that GN outperforms the other per-sample norms on
ImageNet.
Measured: in the plain net IN and the activation come right before the global pooling, which then
sees hardly anything but the shape of a channel's distribution: a degenerate place for IN. So a
small ResNet, whose last sum is not normalized, is a part of its own. That IN discards statistics is
tested on the trained nets: can a linear probe of the last features tell which of four contrasts an
image was given? GN and LN discard contrast, too; GN is shown beside, so that nobody takes the probe
for the reason of IN's accuracy.
Cost: normlab run in-hurts-classification --profile full    100 trials to its first look, 4.9 hours
of one core; 45 of them are other claims', too
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import image_protocols, per_sample_arm
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast, Within

PROTOCOLS = image_protocols()
# Arms without a model of their own are the plain net, on a GPU as well.
GPU = PROTOCOLS["gpu"]
PROTOCOLS["gpu"] = replace(GPU, overrides=(*GPU.overrides, "model=plaincnn"))
RESNET = ("model=resnet", "model.depth=8", "model.width=8")


def contrast(evidence: Evidence, arm: str) -> Values:
    """Points above chance (25 %) with which the probe tells the contrast, per seed."""
    # Four contrasts, equally often.
    return 100 * (evidence.values(arm, "contrast_accuracy") - 0.25)


CLAIM = Claim(
    slug="in-hurts-classification",
    statement="Instance normalization discards channel statistics and is poor for classification.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "How BN, IN and LN differ",
    ),
    source="Wu & He 2018: GN outperforms the other per-sample norms for ResNet-50 on ImageNet.",
    prediction="supported: IN costs 3 to 5 points, and contrast cannot be read from its features",
    arms=(
        Arm("batchnorm", ("norm=batchnorm",), evaluations=("contrast",)),
        per_sample_arm("instancenorm"),
        per_sample_arm("groupnorm"),
        Arm("batchnorm resnet", ("norm=batchnorm", *RESNET)),
        Arm("instancenorm resnet", ("norm=instancenorm", *RESNET)),
    ),
    protocols=PROTOCOLS,
    clauses=(
        Part(
            "plain net",
            "IN costs at least 2 points against BN in a plain convolutional net",
            difference(
                "batchnorm", "instancenorm", words="test accuracy of the plain net, BN - IN"
            ),
            AtLeast(2.0),
            expected=8.0,
            noise=1.5,
        ),
        Part(
            "residual net",
            "IN costs at least 2 points against BN in a small ResNet",
            difference(
                "batchnorm resnet",
                "instancenorm resnet",
                words="test accuracy of the ResNet, BN - IN",
            ),
            AtLeast(2.0),
            expected=6.0,
            noise=1.5,
        ),
        Part(
            "discards",
            "contrast cannot be read from IN's features",
            Quantity(
                "accuracy above chance with which a linear probe of IN's last features tells four "
                "contrasts",
                "points",
                lambda evidence: contrast(evidence, "instancenorm"),
                ("instancenorm",),
            ),
            # Around chance: the probe can be off to either side.
            Within(5.0),
            expected=0.0,
            noise=0.8,
        ),
    ),
    scope=(
        Part(
            "keeps",
            "contrast can be read from BN's features",
            Quantity(
                "accuracy of the same probe, BN - IN",
                "points",
                lambda evidence: (
                    contrast(evidence, "batchnorm"),
                    -contrast(evidence, "instancenorm"),
                ),
                ("batchnorm", "instancenorm"),
            ),
            AtLeast(20.0),
        ),
        Part(
            "groupnorm",
            "contrast cannot be read from GN's features either",
            Quantity(
                "accuracy above chance with which the probe tells four contrasts from GN's last "
                "features",
                "points",
                lambda evidence: contrast(evidence, "groupnorm"),
                ("groupnorm",),
            ),
            Within(5.0),
        ),
    ),
    answers=Answers(
        supported="InstanceNorm costs {plain net.effect:.1f} points ({plain net.low:.1f} to "
        "{plain net.high:.1f}) against BatchNorm in a plain net and {residual net.effect:.1f} in "
        "a small ResNet, and the contrast of an image cannot be read from its features.",
        refuted="InstanceNorm does not hurt classification by 2 points: {plain net.effect:+.1f} "
        "({plain net.low:.1f} to {plain net.high:.1f}) in a plain net, {residual net.effect:+.1f} "
        "in a small ResNet.",
        partly="InstanceNorm costs {plain net.effect:.1f} points ({plain net.low:.1f} to "
        "{plain net.high:.1f}) in a plain net and {residual net.effect:.1f} in a small ResNet; "
        "from its features contrast is told {discards.effect:.1f} points above chance: not all as "
        "claimed.",
        inconclusive="InstanceNorm costs {plain net.effect:.1f} points ({plain net.low:.1f} to "
        "{plain net.high:.1f}) in a plain net and {residual net.effect:.1f} "
        "({residual net.low:.1f} to {residual net.high:.1f}) in a small ResNet; contrast is told "
        "{discards.effect:.1f} points above chance: not all is decided.",
    ),
    caveats=(
        "IN right before the global pooling, as in the plain net, is degenerate: see the residual "
        "net.",
        "Maps of 3x3 pixels in the last stage: a statistic of IN has 9 values there, 49 and more "
        "in ImageNet's nets.",
        "GN discards an image's contrast as well: the probe shows what IN loses, not why it "
        "classifies worse.",
    ),
    would_change="A net with IN within 1 point of BN.",
    metrics={
        "contrast_accuracy": "accuracy of a linear probe for the contrast, of 4",
    },
)
