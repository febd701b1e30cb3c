"""In federated averaging BatchNorm beats GroupNorm but for extreme label skew; buffers matter.

Said by: practitioners' threads: NVFlare 1718, PFLlib 260 and FLamby 260, whose averages lose the
buffers or ask whether to average them.
Primary source: Zhong et al. 2023 (arXiv 2303.06530): BatchNorm is better than GroupNorm in many
federated settings, but for extreme label skew and high-frequency communication. FedBN (Li et al.
2021, arXiv 2102.07623) keeps BatchNorm with each client, on purpose.
Measured: CIFAR-10 at 16x16 on ten clients, all in each round, one local pass a round, 24 rounds,
averages by size: labels at random, by a Dirichlet distribution of 0.3, and in shards (two classes a
client: extreme). Test accuracy with averaged buffers, and of the same averaged parameters with each
client's own buffers, as where parameters alone are averaged; on all classes, and on the mixture of
the client; nothing is compared where no average is right in 20 % of the images. Each seed of each
arm has the rate of the best validation accuracy after four rounds.
Cost: normlab run fedavg-bn-buffers --profile full    30 trials to its first look, 4.0 hours of one
core
"""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.protocols.at_most import AtMost
from normlab.claims.protocols.floors import where_one_reaches
from normlab.claims.protocols.images import image_protocols, tiny_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import Quantity, difference, metric_difference
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

NORMS = ("batchnorm", "groupnorm")
SKEWS = {"iid": "labels at random", "dirichlet": "moderate label skew", "shards": "extreme skew"}
POINTS = 1.0
LEARNT = 0.2  # of ten classes, twice chance: a lower average has nothing to compare
ROUNDS, ROUND_S, EVALUATION_S = 24, 13.0, 15.0
LONG = "federated training of a hundred rounds and more"


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy of the average, by whose buffers it has."""
    from normlab.measure.federated import federated

    metrics, setup = federated(options, (f"norm={options['norm']}",), options["skew"], seed)
    return Measurement(metrics, setup.source)


def protocols() -> Mapping[str, Protocol]:
    """A plain CNN on images of 16x16: a round is an epoch of the budget.

    In quick a client has 500 images: at the batch size of full, 64, a pass would be 7 steps, after
    which half of a client's buffers are still the averaged ones.
    """
    own = ("model=plaincnn",)
    rates = (0.03, 0.1, 0.3)
    short = image_protocols(*own, "data.batch_size=16", epochs=4, rates=rates)
    full = tiny_protocols(*own, full_epochs=ROUNDS, rates=rates)["full"]
    full = replace(
        full,
        choice=("trainer.max_epochs=4",),
        seconds_per_trial=ROUNDS * ROUND_S,
        seconds_per_choice=4 * ROUND_S,
    )
    return with_own_rates({**short, "full": full}, seconds=EVALUATION_S)


def learnt(quantity: Quantity, skew: str) -> Quantity:
    """`quantity`, where one of the averages that it compares is at `LEARNT` or above."""
    share = f"right in {100 * LEARNT:g} % of images"
    return where_one_reaches(
        replace(quantity, words=f"{quantity.words}, if an average is {share}"),
        "test_accuracy",
        LEARNT,
        f"{SKEWS[skew]}: no average is {share}",
    )


def better(skew: str, norm: str = "batchnorm", baseline: str = "groupnorm") -> Quantity:
    names = {"batchnorm": "BatchNorm", "groupnorm": "GroupNorm"}
    words = f"test accuracy of the average, {SKEWS[skew]}, {names[norm]} - {names[baseline]}"
    return learnt(difference(f"{norm} {skew}", f"{baseline} {skew}", words=words), skew)


def buffers(skew: str, metric: str, baseline: str, words: str) -> Quantity:
    """Of the same averaged parameters, with other buffers."""
    return learnt(
        metric_difference(
            f"batchnorm {skew}",
            f"{metric}_accuracy",
            f"{baseline}_accuracy",
            words=f"{words}, {SKEWS[skew]}",
        ),
        skew,
    )


def own_cost(skew: str) -> Quantity:
    words = "accuracy on all classes, averaged buffers - clients' own"
    return buffers(skew, "test", "own_buffers", words)


CLAIMED = (
    "(BatchNorm ahead by 1 point at moderate skew, not at extreme, and own buffers costing 1): "
    "after a few rounds of federated averaging "
)
NUMBERS = (
    "BatchNorm is {moderate.effect:+.1f} points ({moderate.low:+.1f} to {moderate.high:+.1f}) "
    "above GroupNorm at moderate label skew and {extreme.effect:+.1f} ({extreme.low:+.1f} to "
    "{extreme.high:+.1f}) at two classes a client; clients' own buffers instead of averaged ones "
    "cost {buffers.effect:+.1f} points ({buffers.low:+.1f} to {buffers.high:+.1f}) on all classes "
    "and win {own classes.effect:+.1f} on the client's own mixture"
)

CLAIM = Claim(
    slug="fedavg-bn-buffers",
    statement="In federated averaging BatchNorm beats GroupNorm but for extreme label skew, and "
    "averaging parameters without buffers is a hidden FedBN.",
    documents=("Practitioners' threads",),
    source="Zhong et al. 2023: BatchNorm is better than GroupNorm in many federated settings, but "
    "for extreme label skew and high-frequency communication. Nothing on buffers that are left out "
    "by mistake.",
    prediction="supported: 3 points at moderate skew, fewer than 1 at two classes a client; own "
    "buffers cost several points on all classes",
    arms=tuple(
        Arm(f"{norm} {skew}", options={"norm": norm, "skew": skew})
        for norm in NORMS
        for skew in SKEWS
    ),
    protocols=protocols(),
    trial=trial,
    clauses=(
        Part(
            "moderate",
            "at moderate label skew BatchNorm is at least 1 point above GroupNorm",
            better("dirichlet"),
            AtLeast(POINTS),
            stands_for=LONG,
            expected=4.0,
            noise=2.5,
        ),
        Part(
            "extreme",
            "with two classes a client it is not 1 point above",
            better("shards"),
            AtMost(POINTS),
            stands_for=LONG,
            expected=-3.0,
            noise=3.5,
        ),
        Part(
            "buffers",
            "at moderate label skew, clients' own buffers cost at least 1 point on all classes",
            own_cost("dirichlet"),
            AtLeast(POINTS),
            stands_for=LONG,
            expected=4.0,
            noise=2.5,
        ),
    ),
    scope=(
        Part(
            "own classes",
            "as FedBN does, they win at least 1 point in the client's own mixture of classes",
            buffers(
                "dirichlet",
                "own_classes",
                "shared_classes",
                "accuracy in the client's mixture, its own buffers - averaged",
            ),
            AtLeast(POINTS),
        ),
        Part(
            "at random",
            "with labels at random BatchNorm is at least 1 point above GroupNorm",
            better("iid"),
            AtLeast(POINTS),
        ),
        Part(
            "groupnorm wins",
            "with two classes a client GroupNorm is at least 1 point above BatchNorm",
            better("shards", "groupnorm", "batchnorm"),
            AtLeast(POINTS),
        ),
        Part(
            "buffers at random",
            "with labels at random own buffers cost less than 1 point",
            own_cost("iid"),
            AtMost(POINTS),
        ),
        Part(
            "buffers, extreme",
            "with two classes a client own buffers cost at least 1 point on all classes",
            own_cost("shards"),
            AtLeast(POINTS),
        ),
        Part(
            "first buffers",
            "a server that keeps the buffers that it began with loses at least 10 points, even "
            "with labels at random",
            buffers(
                "iid",
                "test",
                "first_buffers",
                "accuracy on all classes, averaged buffers - those before the first round",
            ),
            AtLeast(10.0),
        ),
    ),
    answers=Answers(
        supported="After a few rounds of federated averaging " + NUMBERS + ".",
        refuted="Not as claimed " + CLAIMED + NUMBERS + ".",
        partly="Not all of it holds " + CLAIMED + NUMBERS + ".",
        inconclusive="Not all of it is decided " + CLAIMED + NUMBERS + ".",
    ),
    caveats=(
        "24 rounds, in which a norm that trains faster may still be ahead; the paper's have a "
        "hundred or more.",
        "High-frequency communication, the paper's other exception, is not tried: clients average "
        "after a whole pass.",
        "Ten clients that all take part in each round, with one local pass: more local steps drift "
        "further apart.",
        "A client's gain and shift are averaged, where FedBN keeps them, too.",
    ),
    would_change="Clients that differ in their images and not in their labels, for which FedBN was "
    "made.",
    metrics={
        "test_accuracy": "test accuracy of the average, averaged buffers",
        "own_buffers_accuracy": "test accuracy of the average, each client's own buffers",
        "first_buffers_accuracy": "test accuracy of the average, buffers of before the first round",
        "own_classes_accuracy": "accuracy in the client's mixture of classes, its own buffers",
        "shared_classes_accuracy": "accuracy in the client's mixture of classes, averaged buffers",
    },
)
