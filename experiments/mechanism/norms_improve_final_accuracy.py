"""Normalization improves what a network comes to in the end.

Said by: "BatchNorm vs LayerNorm" (a lesson), by which norms improve performance.
Primary source: to the contrary Brock et al. 2021 (arXiv 2102.06171), whose networks without norms,
made for it with scaled weights and clipping, match those with batch norm on ImageNet (abstract).
Measured: test accuracy of one network with BN, with GN and with no norm, each seed at a rate of its
own, after 16 epochs of CIFAR-10: twice what suffices for GN to be within a point of its plateau. A
point is what the catalogue asks.
Cost: normlab run norms-improve-final-accuracy --profile full    60 trials to its first look, 4.6
hours of one core; 30 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import image_protocols
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast

NORMS = {"none": "no norm", "batchnorm": "BN", "groupnorm": "GN"}


def over_none(kind: str, metric: str = "test_accuracy") -> Quantity:
    what = metric.replace("_", " ")
    return difference(kind, "none", metric, words=f"{what}, {NORMS[kind]} - no norm")


CLAIM = Claim(
    slug="norms-improve-final-accuracy",
    statement="Normalization improves the accuracy that a network comes to in the end.",
    documents=("BatchNorm vs LayerNorm",),
    source="Brock et al. 2021: networks without norms, made for it, match those with batch norm.",
    prediction="supported: by 1 to 5 points in a network that is not made for none",
    arms=tuple(Arm(kind, (f"norm={kind}",), at={"norm": kind}) for kind in NORMS),
    protocols=image_protocols(epochs=8, full_epochs=16, gpu_epochs=60),
    clauses=(
        Part(
            "batchnorm",
            "with BN the test accuracy is a point above that without a norm",
            over_none("batchnorm"),
            AtLeast(1.0),
            expected=3.0,
            noise=0.8,
        ),
    ),
    scope=(
        Part(
            "groupnorm",
            "with GN it is a point above that without a norm, too",
            over_none("groupnorm"),
            AtLeast(1.0),
        ),
        Part(
            "training",
            "the training loss without a norm is higher by 0.05 nats, too",
            difference(
                "none", "batchnorm", "train_loss", words="training loss at the end, no norm - BN"
            ),
            AtLeast(0.05),
        ),
    ),
    answers=Answers(
        supported="After 16 epochs of CIFAR-10 BatchNorm is {batchnorm.effect:.1f} points "
        "({batchnorm.low:.1f} to {batchnorm.high:.1f}) above no norm, GroupNorm by "
        "{groupnorm.effect:+.1f}; both at rates of their own.",
        refuted="Not by a point: BatchNorm is {batchnorm.effect:+.1f} points "
        "({batchnorm.low:+.1f} to {batchnorm.high:+.1f}) from no norm in the end, GroupNorm "
        "{groupnorm.effect:+.1f}, each at a rate of its own.",
        inconclusive="Whether by a point is open: BatchNorm is {batchnorm.effect:+.1f} points "
        "({batchnorm.low:+.1f} to {batchnorm.high:+.1f}) from no norm in the end, GroupNorm "
        "{groupnorm.effect:+.1f}.",
    ),
    caveats=(
        "A small network of six normalized convolutions, at He's initial scale: deeper ones need "
        "norms more, and networks made to do without need them less.",
        "16 epochs (8 of 5,000 small images in quick): a network without a norm may go on to win.",
    ),
    would_change="A network without norms, at a scale and with clipping made for it, that comes "
    "within a point.",
)
