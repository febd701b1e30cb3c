"""InstanceNorm suits style transfer, because the statistics of features carry the style.

Said by: "Differences between Batch, Layer, Group and Instance Norm" and "How BN, IN and LN differ".
Primary source: Ulyanov et al. 2016 and Huang & Belongie 2017, on generated images.
Measured: a perceptual test would need a pretrained network; this proxy asks what the claim rests
on: if style is in the statistics that InstanceNorm removes, then a classifier with it keeps more of
its accuracy on styles that it never saw. Style = tone curve and colour of the whole image; four in
training and testing, eight others for the unseen.
Cost: normlab run in-style-transfer --profile full    60 trials to its first look, 1.2 hours of one
core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast

UNSEEN = "unseen_styles_accuracy"


def loss(evidence: Evidence, arm: str) -> Values:
    """Per seed, the share (in %) of the accuracy above chance that unseen styles cost."""
    seen, unseen = evidence.values(arm), evidence.values(arm, UNSEEN)
    # The trivial loss is ln of the number of classes, as far as these are equally frequent.
    chance = np.exp(-evidence.values(arm, "trivial_loss"))
    # Over the mean of all seeds, so that a seed near chance does not divide by almost 0.
    return 100 * (seen - unseen) / float((seen - chance).mean())


def invariance(arm: str, name: str) -> Quantity:
    """How much more unseen styles cost `arm` than InstanceNorm."""
    return Quantity(
        f"share of the accuracy above chance that unseen styles cost, {name} - IN",
        "%",
        lambda evidence: (loss(evidence, arm), -loss(evidence, "instancenorm")),
        (arm, "instancenorm"),
    )


CLAIM = Claim(
    slug="in-style-transfer",
    statement="InstanceNorm suits work across styles, since the statistics that it removes carry "
    "the style.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "How BN, IN and LN differ",
    ),
    source="Ulyanov et al. 2016 and Huang & Belongie 2017 show it for stylised images, judged by "
    "eye and by loss.",
    prediction="supported (the catalogue); the first part is doubtful where InstanceNorm "
    "classifies poorly at all",
    arms=tuple(
        Arm(kind, (f"norm={kind}", "data.styles=[0,1,2,3]"), evaluations=("styles",))
        for kind in ("batchnorm", "instancenorm", "layernorm")
    ),
    protocols=image_protocols(full_epochs=SHORT),
    clauses=(
        Part(
            "accuracy",
            "on unseen styles InstanceNorm is 5 points more accurate than BatchNorm",
            difference(
                "instancenorm", "batchnorm", UNSEEN, words="accuracy on unseen styles, IN - BN"
            ),
            AtLeast(5.0),
            stands_for="style transfer",
            expected=2.0,
            noise=1.8,
        ),
    ),
    scope=(
        Part(
            "invariance",
            "unseen styles cost InstanceNorm less of what it knows than BatchNorm",
            invariance("batchnorm", "BN"),
            AtLeast(10.0),
        ),
        Part(
            "instance, not sample",
            "unseen styles cost InstanceNorm less of what it knows than LayerNorm, which is per "
            "sample too",
            invariance("layernorm", "LN"),
            AtLeast(10.0),
        ),
    ),
    answers=Answers(
        supported="On styles that it never saw a classifier with InstanceNorm is "
        "{accuracy.effect:.1f} points ({accuracy.low:.1f} to {accuracy.high:.1f}) above one with "
        "BatchNorm.",
        refuted="On styles that it never saw a classifier with InstanceNorm is not 5 points above "
        "one with BatchNorm, but {accuracy.effect:+.1f} ({accuracy.low:.1f} to "
        "{accuracy.high:.1f}); of what each knows, BatchNorm loses {invariance.effect:.0f} points "
        "of per cent more.",
        inconclusive="On styles that it never saw a classifier with InstanceNorm is "
        "{accuracy.effect:+.1f} points ({accuracy.low:.1f} to {accuracy.high:.1f}) from one with "
        "BatchNorm: whether 5 above is open.",
    ),
    caveats=(
        "A proxy: classification across styles. Style transfer itself, judged by eye, is not "
        "tested here.",
        "The catalogue has the first part only; the others separate invariance from the accuracy "
        "that InstanceNorm loses before global average pooling (in-hurts-classification).",
    ),
    would_change="A perceptual comparison of stylised images by people or by a pretrained network.",
)
