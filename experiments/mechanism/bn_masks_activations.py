"""BatchNorm masks which inputs and channels are active: explanations should look before it.

Said by: "How BN, IN and LN differ", of activation maximization and saliency maps.
Primary source: none. Ioffe & Szegedy 2015 (arXiv 1502.03167), section 3.1: at inference the layer
is a linear transform of each activation, which keeps or reverses the order within a channel.
Measured: a trained network in eval mode, before and behind each norm, means over positions. Within
a channel: whether the order of the test images differs. Across channels: how many of an image's
strongest channels, an eighth of all, are others behind the norm. And whether those before it matter
more: the accuracy where they are set to their mean, against that without those behind the norm.
Cost: normlab run bn-masks-activations --profile full    5 trials to its first look, 38 minutes of
one core
"""

from math import inf

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import logarithm, percent
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import metric_difference, value
from normlab.claims.rules import AtLeast, Between
from normlab.records.measurement import Measurement

NETWORK = "batchnorm"


def trial(options: Options, seed: int) -> Measurement:
    """Ranks before and behind the norms of a network, see normlab.measure.channel_ranks."""
    from normlab.measure.channel_ranks import channel_ranks
    from normlab.measure.rates import train_tuned

    setup = train_tuned(options, ("norm=batchnorm",), seed).kept
    return Measurement(channel_ranks(setup), setup.source)


NUMBERS = (
    "within a channel 1 - |rank correlation| of the images is {within a channel.effect:.4f}, "
    "{across channels.effect:.0f} % ({across channels.low:.0f} to {across channels.high:.0f}) of "
    "an image's strongest channels are others behind the norm, and leaving out those before it "
    "costs {before it.effect:+.1f} points of accuracy ({before it.low:+.1f} to "
    "{before it.high:+.1f}) beside leaving out those behind it"
)

CLAIM = Claim(
    slug="bn-masks-activations",
    statement="BatchNorm masks what excites a network: activation maximization and saliency should "
    "read the values before it.",
    documents=("How BN, IN and LN differ",),
    source="Ioffe & Szegedy 2015: at inference a linear transform of each activation, so that the "
    "order within a channel stays or is reversed.",
    prediction="partly supported: nothing changes within a channel, half of the strongest channels "
    "do; but those behind the norm matter more",
    arms=(Arm(NETWORK),),
    protocols=with_own_rates(image_protocols(full_epochs=SHORT), seconds=150.0),
    trial=trial,
    clauses=(
        Part(
            "within a channel",
            "the norm changes which images excite a channel: 1 - |rank correlation| is at least "
            "0.01",
            value(
                NETWORK,
                "order_changes",
                words="1 - |rank correlation| of the images by a channel, before and behind BN",
            ),
            AtLeast(0.01),
            expected=0.0,
            noise=0.001,
        ),
        Part(
            "across channels",
            "at least a tenth of an image's strongest channels are others behind the norm",
            value(
                NETWORK,
                "other_channels",
                words="share of an image's strongest channels before BN that are not behind it",
                scale=100.0,
                unit="% of the channels",
            ),
            AtLeast(10.0),
            expected=50.0,
            noise=8.0,
        ),
        Part(
            "before it",
            "without the channels that are strongest before the norm a network is at least 1 point "
            "worse than without those behind it",
            metric_difference(
                NETWORK,
                "without_after_accuracy",
                "without_before_accuracy",
                words="test accuracy without the strongest channels behind BN - before BN",
            ),
            AtLeast(1.0),
            expected=-3.0,
            noise=2.0,
        ),
    ),
    scope=(
        Part(
            "saliency",
            "saliency maps of a channel before and behind the norm differ: 1 - |cosine| is at "
            "least 0.01",
            value(
                NETWORK,
                "saliency_changes",
                words="1 - |cosine| of the gradients of a channel for the input, before and behind "
                "BN",
            ),
            AtLeast(0.01),
        ),
        Part(
            "compressed",
            "the norm brings the largest channel at least twice as near to the median one",
            metric_difference(
                NETWORK,
                "spread_before",
                "spread_after",
                words="largest over median deviation of the channels, before BN over behind it",
                unit="times",
            ),
            Between(2, inf),
        ),
        Part(
            "control",
            "without the channels strongest behind the norm a network is at least 1 point worse "
            "than without as many that are drawn",
            metric_difference(
                NETWORK,
                "without_random_accuracy",
                "without_after_accuracy",
                words="test accuracy without drawn channels - the strongest behind BN",
            ),
            AtLeast(1.0),
        ),
        Part(
            "control, before",
            "and so it is without those strongest before it",
            metric_difference(
                NETWORK,
                "without_random_accuracy",
                "without_before_accuracy",
                words="test accuracy without drawn channels - the strongest before BN",
            ),
            AtLeast(1.0),
        ),
    ),
    answers=Answers(
        supported="BatchNorm masks what excites a network: " + NUMBERS + ".",
        refuted="Not as claimed, 0.01, 10 % and 1 point or more: " + NUMBERS + ".",
        partly="BatchNorm masks a part of it: " + NUMBERS + "; claimed were 0.01, 10 % and 1 "
        "point or more.",
        inconclusive="Not all is decided against 0.01, 10 % and 1 point: " + NUMBERS + ".",
    ),
    caveats=(
        "Means over positions stand for the activation of a channel; single positions keep their "
        "order as well.",
        "What matters is told by setting channels to their mean behind the norm, one norm at a "
        "time; other ways to delete may rank otherwise.",
        "In eval mode, as explanations are made; in train mode a batch's own statistics decide.",
    ),
    would_change="Channels whose gains are negative or near zero, in networks of full size.",
    metrics={
        "order_changes": "1 - |rank correlation| of images by a channel, before and behind BN",
        "other_channels": percent("strongest channels before BN that are others behind it"),
        "saliency_changes": "1 - |cosine| of a channel's saliency maps, before and behind BN",
        "spread_before": logarithm("largest over median deviation of channels, before BN"),
        "spread_after": logarithm("largest over median deviation of channels, behind BN"),
        "without_before_accuracy": "test accuracy without the channels strongest before BN",
        "without_after_accuracy": "test accuracy without the channels strongest behind BN",
        "without_random_accuracy": "test accuracy without as many channels that are drawn",
    },
)
