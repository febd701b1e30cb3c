"""Without BatchNorm's gains and shifts, as some explanations want it, a network is another one.

Said by: "How BN, IN and LN differ", which calls gain 1 and shift 0 a disabled BatchNorm.
Primary source: none. Ioffe & Szegedy 2015 (arXiv 1502.03167), section 3: gain and shift are learned
along with the weights. The layer goes on to standardise without them: nothing is disabled by that.
Measured: test accuracy of a trained network, as it is and with all gains 1 and all shifts 0. Beside
it, either alone, no statistics either, and statistics estimated anew under the change; how many
images keep their class, and how alike the saliency maps are.
Cost: normlab run bn-disable-affine --profile full    5 trials to its first look, 30 minutes of one
core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import percent
from normlab.claims.protocols.at_most import AtMost
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import Quantity, metric_difference, value
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

NETWORK = "batchnorm"


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy with parts of the norms left out, see normlab.measure.affine_off."""
    from normlab.measure.affine_off import accuracies_without
    from normlab.measure.rates import train_tuned

    setup = train_tuned(options, ("norm=batchnorm",), seed).kept
    return Measurement(accuracies_without(setup), setup.source)


def lost(name: str, words: str, baseline: str = "whole") -> Quantity:
    """Points of accuracy that leaving something out costs."""
    return metric_difference(
        NETWORK, f"{baseline}_accuracy", f"{name}_accuracy", words=f"test accuracy, {words}"
    )


NUMBERS = (
    "gains of 1 and shifts of 0 cost a trained network {affine.effect:.1f} points "
    "({affine.low:.1f} to {affine.high:.1f}); gains alone {gain.effect:.1f}, shifts alone "
    "{shift.effect:.1f}, no statistics either {no norm.effect:.1f}; {same class.effect:.0f} % of "
    "the images keep their class"
)

CLAIM = Claim(
    slug="bn-disable-affine",
    statement="Disabling BatchNorm for explanations, with gain 1 and shift 0, alters what the "
    "network does.",
    documents=("How BN, IN and LN differ",),
    source="Ioffe & Szegedy 2015 learn gain and shift with the weights; with 1 and 0 the layer "
    "still standardises.",
    prediction="supported: by 20 points or more",
    arms=(Arm(NETWORK),),
    protocols=with_own_rates(image_protocols(full_epochs=SHORT), seconds=60.0),
    trial=trial,
    clauses=(
        Part(
            "affine",
            "gains of 1 and shifts of 0 cost at least 5 points of accuracy",
            lost("no_affine", "as trained - gain 1 and shift 0"),
            AtLeast(5.0),
            expected=25.0,
            noise=10.0,
        ),
    ),
    scope=(
        Part(
            "gain",
            "gains of 1 alone cost at least 5 points",
            lost("no_gain", "as trained - gain 1"),
            AtLeast(5.0),
        ),
        Part(
            "shift",
            "shifts of 0 alone cost at least 5 points",
            lost("no_shift", "as trained - shift 0"),
            AtLeast(5.0),
        ),
        Part(
            "no norm",
            "without statistics either, which is a norm disabled, it costs at least 5 points",
            lost("no_norm", "as trained - no norm"),
            AtLeast(5.0),
        ),
        Part(
            "anew",
            "statistics estimated anew under the change win at least 5 points back",
            lost(
                "no_affine",
                "gain 1 and shift 0, statistics estimated anew - as they were",
                "re_estimated",
            ),
            AtLeast(5.0),
        ),
        Part(
            "same class",
            "fewer than 90 % of the images keep their class",
            value(
                NETWORK,
                "same_class",
                words="share of test images with the same class at gain 1 and shift 0",
                scale=100.0,
                unit="% of the images",
            ),
            AtMost(90.0),
        ),
        Part(
            "saliency",
            "saliency maps of both have a cosine of less than 0.9",
            value(
                NETWORK,
                "saliency_cosine",
                words="cosine of the gradients of a class for the image, as trained and at gain 1 "
                "and shift 0",
            ),
            AtMost(0.9),
        ),
    ),
    answers=Answers(
        supported="It is another network: " + NUMBERS + ".",
        refuted="It costs less than 5 points: " + NUMBERS + ".",
        inconclusive="Whether it costs 5 points is open: " + NUMBERS + ".",
    ),
    caveats=(
        "Gains begin at 1 and shifts at 0, and few epochs move them less far than many.",
        "A small network without skips; more norms one after the other add up.",
    ),
    would_change="A network whose gains stay near 1, or which goes on training without them.",
    metrics={
        "whole_accuracy": "test accuracy as trained",
        "no_affine_accuracy": "test accuracy with gain 1 and shift 0",
        "no_gain_accuracy": "test accuracy with gain 1",
        "no_shift_accuracy": "test accuracy with shift 0",
        "no_norm_accuracy": "test accuracy without gain, shift and statistics",
        "re_estimated_accuracy": "test accuracy with gain 1, shift 0 and statistics estimated anew",
        "same_class": percent("test images that keep their class at gain 1 and shift 0"),
        "saliency_cosine": "cosine of saliency maps, as trained and at gain 1 and shift 0",
    },
)
