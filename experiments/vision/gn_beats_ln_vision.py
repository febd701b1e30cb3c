"""Grouping channels beats layer normalization on images.

Said by: "How BN, IN and LN differ" (an interview series).
Primary source: Wu & He 2018, whose abstract says that on ImageNet GN outperforms the other
per-sample norms.
Measured: "layer norm" on images is two different operators, so each is a part: over (C, H, W),
which is GN with one group, and over C at each pixel. Each arm is tuned. The margin of half a point
is small beside a seed's noise, so the trained nets are read on all 10,000 test images, and there
are eight seeds.
Cost: normlab run gn-beats-ln-vision --profile cpu    about 3 minutes on 2 cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import image_protocols
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast


def gain(over: str, axes: str) -> Quantity:
    """Points of accuracy that GN's 8 groups win over another norm, per seed."""
    words = f"accuracy on the whole test split, GN - LN over {axes}"
    return difference("groupnorm", over, "whole_test_accuracy", words=words)


CLAIM = Claim(
    slug="gn-beats-ln-vision",
    statement="On images, normalizing groups of channels gives better accuracy than layer "
    "normalization.",
    documents=("How BN, IN and LN differ",),
    source="Wu & He 2018: GN outperforms other per-sample norms for ResNet-50 on ImageNet.",
    prediction="supported or inconclusive: 0.3 to 1.2 points",
    arms=tuple(
        Arm(kind, (f"norm={kind}",), evaluations=("whole_test",))
        for kind in ("groupnorm", "layernorm", "channel_layernorm")
    ),
    protocols=image_protocols(seeds=8),
    parts=(
        Part(
            "over C, H, W",
            "8 groups beat one group by half a point",
            gain("layernorm", "(C, H, W)"),
            AtLeast(0.5),
        ),
        Part(
            "over C at each pixel",
            "8 groups beat LN per pixel by half a point",
            gain("channel_layernorm", "C at each pixel"),
            AtLeast(0.5),
        ),
    ),
    caveats=(
        "A plain net of five convolutions, 5,000 images of 16x16 and 4 epochs: far from "
        "convergence.",
    ),
    would_change="An interval of the difference on the other side of half a point, at full size "
    "(profile gpu).",
)
