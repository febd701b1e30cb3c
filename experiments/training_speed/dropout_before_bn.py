"""Dropout before BatchNorm costs more than dropout after it.

Said by: practitioners' threads, eight of them, that ask for the order of both in a block.
Primary source: Li et al. 2018 (arXiv 1801.05134), abstract and figure 1: dropout changes a
variance from training to evaluation, which BN's running statistics do not follow; a DenseNet on
CIFAR-100 falls from 77.42 to 68.55 % with dropout of 0.5 in each block. They advise dropout behind
the last BN alone: that after one BN stands before the next.
Measured: test accuracy of a plain CNN with dropout of 0.5 in each of its five blocks: between
convolution and BN, or behind BN and its ReLU; and behind the last BN alone. Each at a rate that the
seed chooses. The statistics of each trained network are also estimated anew with dropout off.
Cost: normlab run dropout-before-bn --profile full    20 trials to its first look, 1.8 hours of one
core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import difference, metric_difference
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

SHARE = 0.5  # of values that are dropped: torch's default, and that of the paper's figure 1
# Name -> where dropout stands.
ARMS = {"before": "before", "after": "after", "behind the last": "last", "none": ""}
ACCURACY, ANEW = "tuned_accuracy", "re_estimated_accuracy"


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy of a network with dropout somewhere, with its statistics and with new ones."""
    from normlab.measure.dropout import accuracy_without_dropout_in_statistics, with_dropout
    from normlab.measure.rates import train_tuned
    from normlab.training.step import evaluate

    where = ARMS[options["arm"]]
    adapt = with_dropout(**{where: SHARE} if where else {})
    found = train_tuned(options, ("norm=batchnorm",), seed, adapt)
    setup = found.kept
    metrics = {
        ACCURACY: evaluate(setup.model, setup.data.eval_batches("test"))[1],
        ANEW: accuracy_without_dropout_in_statistics(setup),
        "rate": found.rate,
    }
    return Measurement(metrics, setup.source)


def won_back(arm: str, place: str) -> Part:
    """Points that statistics without dropout give."""
    return Part(
        f"statistics, {arm}",
        f"with dropout {place}, statistics estimated anew without it win at least 1 point",
        metric_difference(
            arm,
            ANEW,
            ACCURACY,
            words=f"test accuracy with dropout {place}, statistics estimated without it - running "
            "ones",
        ),
        AtLeast(1.0),
    )


CLAIM = Claim(
    slug="dropout-before-bn",
    statement="In a block with both, dropout before BatchNorm costs more accuracy than dropout "
    "after it.",
    documents=("Practitioners' threads",),
    source="Li et al. 2018: dropout shifts the variance that BN's running statistics hold, "
    "wherever a BN follows it; they advise dropout behind the last BN alone.",
    prediction="inconclusive or refuted: after one BN it stands before the next (a pilot of the "
    "catalogue, n = 4, decided nothing); behind the last alone it costs less",
    arms=tuple(Arm(name, options={"arm": name}) for name in ARMS),
    protocols=with_own_rates(
        image_protocols("model=plaincnn", epochs=6, full_epochs=SHORT), seconds=20.0
    ),
    trial=trial,
    clauses=(
        Part(
            "order",
            "in each block, dropout before BN costs at least 1 point more than after it",
            difference(
                "after",
                "before",
                ACCURACY,
                words="test accuracy, dropout after BN and its ReLU - before BN",
            ),
            AtLeast(1.0),
            expected=3.0,
            noise=2.0,
        ),
    ),
    scope=(
        Part(
            "behind the last",
            "dropout after each BN costs at least 1 point more than behind the last one alone",
            difference(
                "behind the last",
                "after",
                ACCURACY,
                words="test accuracy, dropout behind the last BN - after each",
            ),
            AtLeast(1.0),
        ),
        won_back("before", "before each BN"),
        won_back("after", "after each BN"),
        Part(
            "none",
            "dropout before each BN costs at least 1 point against none at all",
            difference("none", "before", ACCURACY, words="test accuracy, no dropout - before BN"),
            AtLeast(1.0),
        ),
    ),
    answers=Answers(
        supported="In each block, dropout before BatchNorm costs {order.effect:.1f} points "
        "({order.low:.1f} to {order.high:.1f}) more than after it; after each it costs "
        "{behind the last.effect:+.1f} more than behind the last BatchNorm alone, and statistics "
        "without dropout give the first {statistics, before.effect:+.1f} points.",
        refuted="In each block, dropout before BatchNorm costs {order.effect:+.1f} points "
        "({order.low:.1f} to {order.high:.1f}) more than after it: less than 1; after each it "
        "costs {behind the last.effect:+.1f} more than behind the last BatchNorm alone.",
        inconclusive="In each block, dropout before BatchNorm costs {order.effect:+.1f} points "
        "({order.low:.1f} to {order.high:.1f}) more than after it: whether 1 is open; after each "
        "it costs {behind the last.effect:+.1f} more than behind the last BatchNorm alone.",
    ),
    caveats=(
        "Three epochs: dropout regularises nothing yet, and what it costs in fit is in all places.",
        "Single values are dropped, not whole channels.",
        "A plain CNN: without skips a shifted variance goes on to the next block.",
    ),
    would_change="A place of dropout between BN and the next convolution that shifts no variance.",
    metrics={
        ACCURACY: "test accuracy, running statistics",
        ANEW: "test accuracy, statistics estimated anew without dropout",
    },
)
