"""BatchNorm gives a contrastive task away: its loss falls, and its features are no better for it.

Said by: practitioners' threads: moco 137 asks what leaks by the communication in a batch, moco 133
is about a single GPU, and lightly 18 shows better accuracy with shuffling on CIFAR-10.
Primary source: He et al. 2020 (MoCo, arXiv 1911.05722), section 3.3: with BatchNorm the network
appears to cheat the pretext task and easily finds a solution of low loss, since statistics shared
in a batch tell queries which keys are theirs; keys in shuffled order repair it.
Measured: momentum contrast on CIFAR-10 at 16x16: a query, its key, and a queue of 1,024 keys of
earlier batches. BatchNorm over 8 images, as on devices of 8: with a query's and its key's
statistics of the same images; with keys in shuffled order; over the whole batch of 64; GroupNorm.
Loss of the task at the end of the training, test accuracy of a linear probe, and how much easier a
key is found among 1,024 if its statistics are of the query's images. Each seed of each arm has the
rate of the best probe on the validation split; for the losses, own groups have that of shuffled
keys, since the best probe is where they cheat least. Ghost batches and devices are the same here.
Cost: normlab run bn-contrastive-leak --profile full    25 trials to its first look, 1.3 hours of
one core
"""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.protocols.at_most import AtMost
from normlab.claims.protocols.contrasts import contrast
from normlab.claims.protocols.images import image_protocols, tiny_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import Quantity, difference, value
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

GROUPS = ("norm=batchnorm", "norm.ghost_batch=8")
SAME_RATE = "own groups, same rate"
# Name -> norm; whether keys go through the network in another order than their queries; and
# whether they do so where the rate is chosen.
ARMS = {
    "own groups": (GROUPS, False, False),
    SAME_RATE: (GROUPS, False, True),
    "shuffled": (GROUPS, True, True),
    "whole batch": (("norm=batchnorm",), False, False),
    "groupnorm": (("norm=groupnorm",), False, False),
}
NATS, POINTS = 0.1, 1.0
EPOCH_S = 22.0  # two views, and two networks of which one has gradients
DEVICES = "devices of 8 images, by ghost batches on one"


def trial(options: Options, seed: int) -> Measurement:
    """Loss of the task, accuracy of the probe, and what statistics give away."""
    from normlab.measure.contrastive import contrastive

    norm, shuffled, tuned = (options[name] for name in ("norm", "shuffled", "tuned"))
    metrics, setup = contrastive(options, norm, shuffled, seed, tuned)
    return Measurement(metrics, setup.source)


def protocols() -> Mapping[str, Protocol]:
    """A plain CNN on images of 16x16; views are drawn by the trial, and not by the data."""
    own = ("model=plaincnn", "data.augment=false")
    rates = (0.03, 0.1, 0.3)
    short = image_protocols(*own, epochs=4, rates=rates)
    full = tiny_protocols(*own, full_epochs=5, rates=rates)["full"]
    full = replace(
        full,
        choice=("trainer.max_epochs=1",),
        seconds_per_trial=5 * EPOCH_S,
        seconds_per_choice=EPOCH_S,
    )
    return with_own_rates({**short, "full": full}, seconds=10.0)


def loss(arm: str, name: str, statement: str) -> Part:
    """By how much the loss of the task is lower where query and key share their statistics."""
    return Part(
        name,
        statement,
        difference(
            arm,
            SAME_RATE,
            "pretext_loss",
            words=f"loss of the task at the end of the training, {arm} - {SAME_RATE}",
        ),
        AtLeast(NATS),
    )


def points(arm: str, baseline: str) -> Quantity:
    return difference(
        arm, baseline, "probe_accuracy", words=f"accuracy of the linear probe, {arm} - {baseline}"
    )


def easier(arm: str) -> Quantity:
    return value(
        arm,
        "given_away",
        words="loss of finding a key among 1,024, with statistics of other images - of the "
        f"query's, {arm}",
        unit="nats",
    )


NUMBERS = (
    "with statistics of the same 8 images for a query and its key the loss of the task is "
    "{loss.effect:+.2f} nats below ({loss.low:+.2f} to {loss.high:+.2f}) that with shuffled keys, "
    "and the linear probe {probe.effect:+.1f} points above ({probe.low:+.1f} to {probe.high:+.1f})"
    "; a key's company gives {own groups.effect:.2f} nats away in own groups, and "
    "{left.effect:.2f} after shuffled keys"
)
CLAIMED = (
    "(a loss 0.1 nats lower, a probe that gains less than 1 point, and half of what is given away "
    "taken back): "
)

CLAIM = Claim(
    slug="bn-contrastive-leak",
    statement="BatchNorm that sees a query and its key in the same company makes the loss of a "
    "contrastive task fall and not its features better; shuffled batches repair it.",
    documents=("Practitioners' threads",),
    source="He et al. 2020 (MoCo), section 3.3: BatchNorm lets the network cheat by statistics "
    "that a query shares with its key; shuffled keys repair it.",
    prediction="supported: a signature of 8 images is easy to read; the probe suffers by a few "
    "points",
    arms=tuple(
        Arm(name, options={"norm": norm, "shuffled": shuffled, "tuned": tuned})
        for name, (norm, shuffled, tuned) in ARMS.items()
    ),
    protocols=protocols(),
    trial=trial,
    clauses=(
        replace(
            loss(
                "shuffled",
                "loss",
                "with statistics of the same images the loss of the task is at least 0.1 nats "
                "lower than with shuffled keys",
            ),
            stands_for=DEVICES,
            expected=0.5,
            noise=0.15,
        ),
        Part(
            "probe",
            "the linear probe gains less than 1 point by it",
            points("own groups", "shuffled"),
            AtMost(POINTS),
            stands_for=DEVICES,
            expected=-2.0,
            noise=1.5,
        ),
        Part(
            "repair",
            "shuffled keys take away at least half of what a key's company gives away",
            contrast(
                {SAME_RATE: {"given_away": 0.5}, "shuffled": {"given_away": -1.0}},
                "half of what a key's company gives away in own groups - what it gives away after "
                "shuffled keys",
                unit="nats",
            ),
            AtLeast(0.0),
            stands_for=DEVICES,
            expected=0.3,
            noise=0.15,
        ),
    ),
    scope=(
        Part(
            "left",
            "after shuffled keys less than 0.1 nats hang on a key's company",
            easier("shuffled"),
            AtMost(NATS),
        ),
        Part(
            "own groups",
            "after a training without shuffling at least 0.1 nats do",
            easier(SAME_RATE),
            AtLeast(NATS),
        ),
        Part(
            "probe lost",
            "without shuffling the linear probe loses at least 1 point",
            points("shuffled", "own groups"),
            AtLeast(POINTS),
        ),
        loss("groupnorm", "groupnorm, loss", "with GroupNorm, too, the loss is at least 0.1 more"),
        Part(
            "groupnorm, probe",
            "with GroupNorm the linear probe is at least 1 point better",
            points("groupnorm", "own groups"),
            AtLeast(POINTS),
        ),
        Part(
            "whole batch",
            "with BatchNorm over the batch of 64, on one device, at least 0.1 nats hang on a "
            "key's company",
            easier("whole batch"),
            AtLeast(NATS),
        ),
        Part(
            "whole batch, probe",
            "with BatchNorm over the batch of 64 the linear probe is at least 1 point better than "
            "over 8 images",
            points("whole batch", "own groups"),
            AtLeast(POINTS),
        ),
    ),
    answers=Answers(
        supported="BatchNorm gives the task away: " + NUMBERS + ".",
        refuted="Not as claimed " + CLAIMED + NUMBERS + ".",
        partly="Not all of it holds " + CLAIMED + NUMBERS + ".",
        inconclusive="Not all of it is decided " + CLAIMED + NUMBERS + ".",
    ),
    caveats=(
        "Five convolutions and five epochs; MoCo's networks train for hundreds, in which a "
        "cheat has more time to be found.",
        "Devices of 8 images, MoCo's have 32: with more images a signature is fainter.",
        "SimCLR takes its negatives from the batch itself, which shares one statistic: nothing "
        "of this is about it.",
    ),
    would_change="Negatives from the same batch as the key, or statistics over all devices.",
    metrics={
        "pretext_loss": "loss of the contrastive task, last tenth of the training, nats",
        "probe_accuracy": "test accuracy of a linear probe of the features",
        "given_away": "what a key's batch mates give away of it, nats",
    },
)
