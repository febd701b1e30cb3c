"""Batch normalization makes a network hard to quantise.

Said by: "How BN, IN and LN differ". Primary sources: Jacob et al. 2018, section 3.2, fold BN into the weights before
these are rounded; Nagel et al. 2019, section 3.1: folded weights of depthwise layers have ranges that differ so much
between channels that one step for all of them does not do.
Fake quantisation after training: rounding to nearest, weights symmetric, activations by their range over 4 training
batches. The catalogue asks for int8 alone, at which small networks may lose nothing whatever the norm; so weights of 4
bits are looked at, too, and a network without norms tells what is BN's part in it. `separable` has depthwise
convolutions. The first 5 seeds could not decide about nine parts together, so 8.

    normlab run bn-quantised --profile cpu        2 minutes on one core
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.rules import greater_by
from normlab.measure.networks import train_network

NETS, CALIBRATION = ("plain", "separable"), 4
ARMS = (
    "plain, batchnorm",
    "plain, none",
    "separable, batchnorm",
)  # without norms the separable net does not train
NORMS = {"batchnorm": ("norm=batchnorm", "optim.lr=0.1"), "none": ("norm=none", "optim.lr=0.03")}


def trial(options, seed):
    """Test accuracy of one trained network as it is, and with its weights in 8 and 4 bits."""
    from normlab.measure.quantised import quantise, separable
    from normlab.tools.fold.model import fold
    from normlab.training.step import evaluate

    net, norm = options["arm"].split(", ")
    trained = train_network(
        (*options["overrides"], *NORMS[norm]), seed, separable if net == "separable" else None
    )
    images = [trained.data.batch(step)[0] for step in range(CALIBRATION)]

    def accuracy(model):
        return evaluate(model, trained.data.eval_batches("test"))[1]

    folding = fold(trained.model)
    assert not folding.kept, str(folding)
    metrics = {
        "accuracy": accuracy(trained.model),
        "accuracy_folded": accuracy(folding.model),
        "data": trained.source,
    }
    for bits in (8, 4):
        for steps in ("tensor", "channel"):
            for state, model in (("folded", folding.model), ("unfolded", trained.model)):
                if norm == "batchnorm" or state == "folded":
                    quantised = quantise(model, images, bits, steps == "channel")
                    metrics[f"{state}_{bits}_{steps}"] = accuracy(quantised)
    return metrics


def loss(evidence, arm, metric):
    """Points of accuracy that rounding costs, per seed."""
    return 100 * (evidence.values(arm, "accuracy") - evidence.values(arm, metric))


def part(net, name, statement, metric):
    return Part(
        f"{net}, {name}",
        f"with BatchNorm, {statement} costs the {net} network accuracy",
        "accuracy before - after rounding: supported from 1 point, refuted below 0.5",
        lambda evidence: greater_by(loss(evidence, f"{net}, batchnorm", metric), 1.0),
    )


def beside_none(evidence):
    with_norm, without = (loss(evidence, arm, "folded_4_tensor") for arm in ARMS[:2])
    return greater_by(with_norm - without, 1.0)


CLAIM = Claim(
    slug="bn-quantised",
    statement="Batch normalization makes a network hard to quantise.",
    documents=("How BN, IN and LN differ",),
    source="Nagel et al. 2019: MobileNetV2 with BN folded fails in int8 with one step per tensor, not with one each.",
    prediction="partly supported: 8 bits cost nothing here; 4 bits do with one step for all of a folded tensor",
    arms=tuple(Arm(arm, options={"arm": arm}) for arm in ARMS),
    protocols=as_options(image_protocols(epochs=3, seeds=8)),
    trial=trial,
    parts=(
        *(
            part(
                net, "8 bits, folded", "int8 with BN folded, one step a tensor,", "folded_8_tensor"
            )
            for net in NETS
        ),
        *(
            part(net, "8 bits, unfolded", "int8 with BN a layer of its own", "unfolded_8_tensor")
            for net in NETS
        ),
        *(
            part(
                net,
                "4 bits, folded",
                "4 bits with BN folded, one step a tensor,",
                "folded_4_tensor",
            )
            for net in NETS
        ),
        *(
            part(net, "4 bits, by channel", "4 bits folded, a step a channel,", "folded_4_channel")
            for net in NETS
        ),
        Part(
            "plain, beside no norm",
            "4 bits, one step a tensor, cost the plain network more with BatchNorm than without a norm",
            "loss with BN - loss without: supported from 1 point, refuted below 0.5",
            beside_none,
        ),
    ),
    caveats=(
        "Networks of 5 blocks on small images; the failures that are known are of MobileNets on ImageNet.",
        "One learning rate each, chosen beforehand; without norms the networks are less accurate to begin with.",
        "Activations have 8 bits throughout; biases are not rounded.",
    ),
    would_change="A deeper network with depthwise convolutions, whose int8 loss is measured.",
)
