"""In federated averaging BatchNorm beats GroupNorm but for extreme label skew; buffers matter.

Said by: practitioners' threads: NVFlare 1718, PFLlib 260 and FLamby 260, whose averages lose the
buffers or ask whether to average them.
Primary source: Zhong et al. 2023 (arXiv 2303.06530): BatchNorm is better than GroupNorm in many
federated settings, but for extreme ones. FedBN (Li et al. 2021, arXiv 2102.07623) keeps BatchNorm
with each client, on purpose.
Measured: CIFAR-10 at 16x16 on ten clients, all in each round, one local pass a round, eight rounds,
averages by size: labels at random, by a Dirichlet distribution of 0.3, and in shards (two classes a
client: extreme). Test accuracy with averaged buffers, and of the same averaged parameters with each
client's own buffers, as where parameters alone are averaged; on all classes, and on the mixture of
the client. Each seed of each arm has the rate of the best validation accuracy.
Cost: normlab run fedavg-bn-buffers --profile full    30 trials to its first look, 1.6 hours of one
core
"""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.protocols.at_most import AtMost
from normlab.claims.protocols.images import image_protocols, tiny_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import Quantity, difference, metric_difference
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

NORMS = ("batchnorm", "groupnorm")
SKEWS = {"iid": "labels at random", "dirichlet": "moderate label skew", "shards": "extreme skew"}
POINTS = 1.0
ROUNDS, ROUND_S, EVALUATION_S = 8, 13.0, 15.0


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy of the average, by whose buffers it has."""
    from normlab.measure.federated import federated

    metrics, setup = federated(options, (f"norm={options['norm']}",), options["skew"], seed)
    return Measurement(metrics, setup.source)


def protocols() -> Mapping[str, Protocol]:
    """A plain CNN on images of 16x16: a round is an epoch of the budget."""
    own = ("model=plaincnn",)
    rates = (0.03, 0.1, 0.3)
    short = image_protocols(*own, epochs=4, rates=rates)
    full = tiny_protocols(*own, full_epochs=ROUNDS, rates=rates)["full"]
    full = replace(
        full,
        choice=("trainer.max_epochs=2",),
        seconds_per_trial=ROUNDS * ROUND_S,
        seconds_per_choice=2 * ROUND_S,
    )
    return with_own_rates({**short, "full": full}, seconds=EVALUATION_S)


def better(skew: str) -> Quantity:
    return difference(
        f"batchnorm {skew}",
        f"groupnorm {skew}",
        words=f"test accuracy of the average, {SKEWS[skew]}, BatchNorm - GroupNorm",
    )


def buffers(skew: str, metric: str, baseline: str, words: str) -> Quantity:
    """Of the same averaged parameters, with other buffers."""
    return metric_difference(
        f"batchnorm {skew}",
        f"{metric}_accuracy",
        f"{baseline}_accuracy",
        words=f"{words}, {SKEWS[skew]}",
    )


def own_cost(skew: str) -> Quantity:
    words = "accuracy on all classes, averaged buffers - clients' own"
    return buffers(skew, "test", "own_buffers", words)


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
    source="Zhong et al. 2023: BatchNorm is better than GroupNorm in many federated settings, and "
    "not in extreme ones. Nothing on buffers that are left out by mistake.",
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
        ),
        Part(
            "extreme",
            "with two classes a client it is not 1 point above",
            better("shards"),
            AtMost(POINTS),
        ),
        Part(
            "buffers",
            "at moderate label skew, clients' own buffers cost at least 1 point on all classes",
            own_cost("dirichlet"),
            AtLeast(POINTS),
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
            difference(
                "groupnorm shards",
                "batchnorm shards",
                words=f"test accuracy of the average, {SKEWS['shards']}, GroupNorm - BatchNorm",
            ),
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
        supported="In federated averaging " + NUMBERS + ".",
        refuted="Not as claimed, more than 1 point, less than 1 and at least 1: in federated "
        "averaging " + NUMBERS + ".",
        partly="Not all of it, more than 1 point, less than 1 and at least 1: in federated "
        "averaging " + NUMBERS + ".",
        inconclusive="Not all of it is decided, more than 1 point, less than 1 and at least 1: in "
        "federated averaging " + NUMBERS + ".",
    ),
    caveats=(
        "Eight rounds, in which a norm that trains faster is ahead; the paper's have a hundred or "
        "more.",
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
