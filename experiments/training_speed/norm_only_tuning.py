"""Training gains and shifts alone, from random weights, is far above chance.

Said by: "Training BatchNorm and Only BatchNorm" (Frankle et al. 2021), and practitioners' threads
who train norms alone: peft 2080, unsloth 328.
Primary source: Frankle et al. 2021 (arXiv 2003.00152), abstract: a ResNet for CIFAR-10 whose other
weights stay as they were drawn reaches "surprisingly high" accuracy, 82 % if it is deep enough.
Measured: test accuracy of a network of five convolutions where only the norms' gains and shifts are
trained; beside it, as the paper has it, as many weights of the convolutions, two of each channel;
and the last linear layer alone. Each at a rate that the seed chooses, without weight decay.
Cost: normlab run norm-only-tuning --profile full    25 trials to its first look, 2.1 hours of one
core
"""

from typing import TYPE_CHECKING

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import Quantity, difference, value
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from normlab.measure.frozen import Adapt

# Name -> kind of norm, and what is trained.
ARMS = {
    "norms": ("batchnorm", "norms"),
    "groupnorm's norms": ("groupnorm", "norms"),
    "as many weights": ("batchnorm", "weights"),
    "head": ("batchnorm", "head"),
    "all": ("batchnorm", "all"),
}
ACCURACY = "tuned_accuracy"


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy of a network of which one part is trained."""
    from normlab.measure.frozen import head_only, norms_only, some_weights
    from normlab.measure.rates import train_tuned
    from normlab.training.step import evaluate

    kind, part = ARMS[options["arm"]]
    ways: dict[str, Adapt | None] = {
        "norms": norms_only,
        "weights": some_weights(seed),
        "head": head_only,
        "all": None,
    }
    found = train_tuned(options, (f"norm={kind}",), seed, ways[part])
    setup = found.kept
    accuracy = evaluate(setup.model, setup.data.eval_batches("test"))[1]
    return Measurement({ACCURACY: accuracy, "rate": found.rate}, setup.source)


def above(arm: str, words: str) -> Quantity:
    """Points of accuracy of the norms alone above another part of the network."""
    return difference("norms", arm, ACCURACY, words=f"test accuracy, norms alone - {words}")


CLAIM = Claim(
    slug="norm-only-tuning",
    statement="Training gains and shifts of BatchNorm alone, from random weights, is far above "
    "chance.",
    documents=(
        "Practitioners' threads",
        "Training BatchNorm and Only BatchNorm (Frankle et al. 2021)",
    ),
    source="Frankle et al. 2021: up to 82 % on CIFAR-10 with a very deep ResNet; more than with as "
    "many weights of the convolutions.",
    prediction="supported: 35 to 50 %, above as many weights of the convolutions",
    arms=tuple(Arm(name, options={"arm": name}) for name in ARMS),
    protocols=with_own_rates(
        image_protocols(
            "model=plaincnn",
            "optim.weight_decay=0",
            epochs=6,
            full_epochs=SHORT,
            rates=(0.03, 0.1, 0.3, 1.0),
            full_rates=(0.1, 0.3, 1.0),
        )
    ),
    trial=trial,
    clauses=(
        Part(
            "far above chance",
            "norms alone reach at least 30 %, 20 points above chance",
            value("norms", ACCURACY, words="test accuracy of a network whose norms are trained"),
            AtLeast(30.0),
            expected=40.0,
            noise=3.0,
        ),
    ),
    scope=(
        Part(
            "as many weights",
            "that is at least 5 points above as many weights of the convolutions",
            above("as many weights", "as many weights of the convolutions"),
            AtLeast(5.0),
        ),
        Part(
            "head",
            "that is at least 5 points above the last linear layer alone",
            above("head", "the last linear layer alone"),
            AtLeast(5.0),
        ),
        Part(
            "groupnorm",
            "with GroupNorm, too, norms alone reach at least 30 %",
            value(
                "groupnorm's norms",
                ACCURACY,
                words="test accuracy of a network whose GroupNorms are trained",
            ),
            AtLeast(30.0),
        ),
        Part(
            "whole",
            "a network that is trained whole is at least 10 points better",
            difference(
                "all", "norms", ACCURACY, words="test accuracy, trained whole - norms alone"
            ),
            AtLeast(10.0),
        ),
    ),
    answers=Answers(
        supported="With random weights and nothing trained but BatchNorm's gains and shifts a "
        "network reaches {far above chance.effect:.1f} % ({far above chance.low:.1f} to "
        "{far above chance.high:.1f}): {as many weights.effect:+.1f} points against as many "
        "weights of its convolutions, {head.effect:+.1f} against its last layer alone and "
        "{whole.effect:.1f} less than trained whole.",
        refuted="With random weights and nothing trained but BatchNorm's gains and shifts a "
        "network reaches {far above chance.effect:.1f} % ({far above chance.low:.1f} to "
        "{far above chance.high:.1f}): not 20 points above chance.",
        inconclusive="With random weights and nothing trained but BatchNorm's gains and shifts a "
        "network reaches {far above chance.effect:.1f} % ({far above chance.low:.1f} to "
        "{far above chance.high:.1f}): whether 30 is open.",
    ),
    caveats=(
        "Five convolutions of 32 to 128 channels and three epochs; the paper's networks are deeper "
        "and train for longer, which helps norms alone.",
        "The last linear layer, too, stays as it was drawn, as in the paper.",
        "The threads tune the norms of pretrained language models, which is another matter.",
    ),
    would_change="A deeper or wider network, whose norms have more random features to choose from.",
    metrics={
        ACCURACY: "test accuracy after the training",
    },
)
