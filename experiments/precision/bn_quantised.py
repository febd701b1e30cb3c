"""Batch normalization makes a network hard to quantise.

Said by: "How BN, IN and LN differ".
Primary source: Jacob et al. 2018, section 3.2, fold BN into the weights before these are rounded;
Nagel et al. 2019, section 3.1: folded weights of depthwise layers have ranges that differ so much
between channels that one step for all of them does not do.
Measured: test accuracy before and after fake quantisation after training: rounding to nearest,
weights symmetric, activations by their range over 4 training batches. The catalogue asks for int8
alone, at which small networks may lose nothing whatever the norm; so weights of 4 bits are looked
at, too, and a network without norms tells what is BN's part in it. `separable` has depthwise
convolutions. The first 5 seeds could not decide about nine parts together, so 8.
Cost: normlab run bn-quantised --profile cpu    2 minutes on one core
"""

from typing import TYPE_CHECKING

from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, metric_difference
from normlab.claims.rules import AtLeast
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from torch import nn

NETS, CALIBRATION = ("plain", "separable"), 4
# Name -> network and norm. Without norms the separable net does not train.
ARMS = {
    "plain, batchnorm": ("plain", "batchnorm"),
    "plain, none": ("plain", "none"),
    "separable, batchnorm": ("separable", "batchnorm"),
}
NORMS = {"batchnorm": ("norm=batchnorm", "optim.lr=0.1"), "none": ("norm=none", "optim.lr=0.03")}
WAYS = (  # name of the part, metric, and how the statement calls it
    ("8 bits, folded", "folded_8_tensor", "int8 with BN folded, one step a tensor,"),
    ("8 bits, unfolded", "unfolded_8_tensor", "int8 with BN a layer of its own"),
    ("4 bits, folded", "folded_4_tensor", "4 bits with BN folded, one step a tensor,"),
    ("4 bits, by channel", "folded_4_channel", "4 bits folded, a step a channel,"),
)


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy of one trained network as it is, and with its weights in 8 and 4 bits."""
    from normlab.measure.quantised import quantise, separable
    from normlab.tools.fold.model import fold
    from normlab.training.step import evaluate

    net, norm = ARMS[options["arm"]]
    adapt = separable if net == "separable" else None
    # One training for all ways to round it.
    trained = train_network((*options["overrides"], *NORMS[norm]), seed, adapt)
    images = [trained.data.batch(step)[0] for step in range(CALIBRATION)]

    def accuracy(model: "nn.Module") -> float:
        return evaluate(model, trained.data.eval_batches("test"))[1]

    # A network without norms is folded, too: it comes back as it is.
    folding = fold(trained.model)
    assert not folding.kept, str(folding)
    states = {"folded": folding.model}
    # Without norms folded and unfolded are the same.
    if norm == "batchnorm":
        states["unfolded"] = trained.model
    metrics = {
        "accuracy": accuracy(trained.model),
        "accuracy_folded": accuracy(folding.model),
    }
    for bits in (8, 4):
        for steps in ("tensor", "channel"):
            for state, model in states.items():
                quantised = quantise(model, images, bits, steps == "channel")
                metrics[f"{state}_{bits}_{steps}"] = accuracy(quantised)
    return Measurement(metrics, trained.source)


def part(net: str, name: str, metric: str, way: str) -> Part:
    """Points of accuracy that rounding costs."""
    words = f"test accuracy of the {net} network, before - after rounding to {name}"
    return Part(
        f"{net}, {name}",
        f"with BatchNorm, {way} costs the {net} network accuracy",
        metric_difference(f"{net}, batchnorm", "accuracy", metric, words=words),
        AtLeast(1.0),
    )


def beside_none(evidence: Evidence) -> Values:
    """(n,) points that rounding costs the plain network more with BN than without a norm."""

    def loss(arm: str) -> Values:
        return 100 * (evidence.values(arm, "accuracy") - evidence.values(arm, "folded_4_tensor"))

    return loss("plain, batchnorm") - loss("plain, none")


CLAIM = Claim(
    slug="bn-quantised",
    statement="Batch normalization makes a network hard to quantise.",
    documents=("How BN, IN and LN differ",),
    source="Nagel et al. 2019: MobileNetV2 with BN folded fails in int8 with one step per tensor, "
    "not with one each.",
    prediction="partly supported: 8 bits cost nothing here; 4 bits do with one step for all of a "
    "folded tensor",
    arms=tuple(Arm(arm, options={"arm": arm}) for arm in ARMS),
    protocols=as_options(image_protocols(epochs=3, seeds=8)),
    trial=trial,
    parts=(
        *(part(net, *way) for way in WAYS for net in NETS),
        Part(
            "plain, beside no norm",
            "4 bits, one step a tensor, cost the plain network more with BatchNorm than without a "
            "norm",
            Quantity(
                "test accuracy, before - after rounding to 4 bits, folded: with BN - without norm",
                "points",
                beside_none,
            ),
            AtLeast(1.0),
        ),
    ),
    caveats=(
        "Networks of 5 blocks on small images; the failures that are known are of MobileNets on "
        "ImageNet.",
        "One learning rate each, chosen beforehand; without norms the networks are less accurate "
        "to begin with.",
        "Activations have 8 bits throughout; biases are not rounded.",
    ),
    would_change="A deeper network with depthwise convolutions, whose int8 loss is measured.",
)
