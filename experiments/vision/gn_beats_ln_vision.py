"""Grouping channels beats layer normalization on images.

Said by: "How BN, IN and LN differ" (an interview series).
Primary source: Wu & He 2018 (arXiv 1803.08494), whose abstract says that on ImageNet GN outperforms
the other per-sample norms.
Measured: "layer norm" on images is two different operators, so each is a part: over (C, H, W),
which is GN with one group, and over C at each pixel. Each seed of an arm has a rate of its own; all
10,000 test images are read.
Cost: normlab run gn-beats-ln-vision --profile full    60 trials to its first look, 2.9 hours of one
core; 30 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.looks import Looks
from normlab.claims.protocols.images import FEW, image_protocols, per_sample_arm
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast


def gain(over: str, axes: str) -> Quantity:
    """Points of accuracy that GN's 8 groups win over another norm, per seed."""
    words = f"test accuracy, GN - LN over {axes}"
    return difference("groupnorm", over, words=words)


CLAIM = Claim(
    slug="gn-beats-ln-vision",
    statement="On images, normalizing groups of channels gives better accuracy than layer "
    "normalization.",
    documents=("How BN, IN and LN differ",),
    source="Wu & He 2018: GN outperforms other per-sample norms for ResNet-50 on ImageNet.",
    prediction="supported or inconclusive: 0.3 to 1.2 points",
    arms=(
        per_sample_arm("groupnorm"),
        per_sample_arm("layernorm"),
        per_sample_arm("channel_layernorm"),
    ),
    protocols=image_protocols(looks=Looks(), full_looks=FEW),
    clauses=(
        Part(
            "over C, H, W",
            "8 groups beat one group by half a point",
            gain("layernorm", "(C, H, W)"),
            AtLeast(0.5),
            expected=1.2,
            noise=0.6,
        ),
        Part(
            "over C at each pixel",
            "8 groups beat LN per pixel by half a point",
            gain("channel_layernorm", "C at each pixel"),
            AtLeast(0.5),
            expected=1.2,
            noise=0.6,
        ),
    ),
    answers=Answers(
        supported="On images GroupNorm is {over C, H, W.effect:.1f} points "
        "({over C, H, W.low:.1f} to {over C, H, W.high:.1f}) above layer norm over (C, H, W) and "
        "{over C at each pixel.effect:.1f} above layer norm at each pixel.",
        refuted="On images GroupNorm is not half a point above layer norm: "
        "{over C, H, W.effect:+.1f} points ({over C, H, W.low:.1f} to {over C, H, W.high:.1f}) "
        "over (C, H, W), {over C at each pixel.effect:+.1f} at each pixel.",
        partly="On images it depends on the layer norm: GroupNorm is {over C, H, W.effect:+.1f} "
        "points above that over (C, H, W) and {over C at each pixel.effect:+.1f} above that at "
        "each pixel.",
        inconclusive="On images GroupNorm is {over C, H, W.effect:+.1f} points "
        "({over C, H, W.low:.1f} to {over C, H, W.high:.1f}) above layer norm over (C, H, W) and "
        "{over C at each pixel.effect:+.1f} above that at each pixel: whether both by half a "
        "point is open.",
    ),
    caveats=(
        "A small network of 127,000 parameters on CIFAR-10; ResNet-50 on ImageNet is the source's.",
    ),
    would_change="An interval of the difference on the other side of half a point, at full size "
    "(profile gpu).",
)
