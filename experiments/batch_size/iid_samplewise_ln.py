"""On a stream whose batches are of one class each, LayerNorm learns better than BatchNorm.

Said by: "How BN, IN and LN differ", of data that are not independent and identically distributed.
Primary source: none that trains on such a stream. Ba et al. 2016 (arXiv 1607.06450) compute a
sample's statistics from itself alone; Hsieh et al. 2020 skew the labels of workers, not of time.
Measured: test accuracy after a single pass over CIFAR-10 in batches of 32. On the stream each batch
holds one class, and the classes take turns in an order that is drawn anew for each round; shuffled
it is the usual training. Each seed of each norm has a rate of its own, chosen by a third of a pass
of the same kind. All trials count, those that are no better than a guess as well.
Cost: normlab run iid-samplewise-ln --profile full    150 trials to its first look, 3.0 hours of one
core; 30 of them are other claims', too
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import true_batch_arm, true_batch_protocols
from normlab.claims.quantity import Quantity, trains
from normlab.claims.rules import AtLeast, Rate

SIZE = 32
KINDS = ("batchnorm", "layernorm", "groupnorm")
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)

# A grid of one size for all: a norm for which the stream is too short to be better than a guess at
# any rate takes the lowest one, and that is to be one at which a pass is long enough to learn.
PROTOCOLS = {
    name: replace(protocol, learning_rates=RATES, extend=False)
    for name, protocol in true_batch_protocols().items()
}
SMOKE = PROTOCOLS["smoke"]  # its 128 digits hold too few of any class for a batch
PROTOCOLS["smoke"] = replace(
    SMOKE, overrides=(*SMOKE.overrides, "data.subset=600"), learning_rates=RATES[1:3]
)


def stream(kind: str) -> Arm:
    """Batches of one class each; BatchNorm is evaluated with other statistics, too."""
    return Arm(
        f"{kind} stream",
        (
            f"norm={kind}",
            f"data.batch_size={SIZE}",
            f"data.group_size={SIZE}",
            "data.group_classes=1",
        ),
        evaluations=("precise",) if kind == "batchnorm" else (),
        at={"norm": kind},
    )


def accuracy(evidence: Evidence, arm: str, metric: str = "test_accuracy") -> Values:
    """(n,) in points, of all trials: a network that has seen one class last may be right more often
    than a guess and yet have a loss above that of one."""
    return 100 * evidence.values(arm, metric)


def ahead(arm: str, baseline: str, words: str) -> Quantity:
    """Two independent samples."""

    def read(evidence: Evidence) -> tuple[Values, Values]:
        return accuracy(evidence, arm), -accuracy(evidence, baseline)

    return Quantity(f"test accuracy after a pass {words}", "points", read, (arm, baseline))


def won_by_precise(evidence: Evidence) -> Values:
    """(n,): of the same networks."""
    arm = "batchnorm stream"
    return accuracy(evidence, arm, "precise_test_accuracy") - accuracy(evidence, arm)


NUMBERS = (
    "LayerNorm has {stream.effect:+.1f} points of accuracy ({stream.low:+.1f} to "
    "{stream.high:+.1f}) against BatchNorm after a pass in batches of one class each, and "
    "{shuffled.effect:+.1f} ({shuffled.low:+.1f} to {shuffled.high:+.1f}) where they are shuffled"
)

CLAIM = Claim(
    slug="iid-samplewise-ln",
    statement="LayerNorm, which normalizes each sample by itself, helps on streams that are not "
    "independent and identically distributed.",
    documents=("How BN, IN and LN differ",),
    source="Ba et al. 2016: statistics of a sample from itself alone; of such streams it says "
    "nothing.",
    prediction="supported: by 10 points or more, since running statistics mix the classes that "
    "training never does; LayerNorm loses much, too",
    arms=(
        *(stream(kind) for kind in KINDS),
        true_batch_arm("batchnorm", SIZE),
        true_batch_arm("layernorm", SIZE),
    ),
    protocols=PROTOCOLS,
    clauses=(
        Part(
            "stream",
            "in batches of one class each LayerNorm is at least 3 points above BatchNorm",
            ahead("layernorm stream", "batchnorm stream", "in batches of one class, LN - BN"),
            AtLeast(3.0),
            stands_for="streams that are not i.i.d.",
            expected=15.0,
            noise=5.0,
        ),
    ),
    scope=(
        Part(
            "shuffled",
            "in shuffled batches, too, LayerNorm is at least 3 points above BatchNorm",
            ahead(f"layernorm {SIZE}", f"batchnorm {SIZE}", "in shuffled batches, LN - BN"),
            AtLeast(3.0),
        ),
        Part(
            "groupnorm",
            "on the stream GroupNorm, too, is at least 3 points above BatchNorm",
            ahead("groupnorm stream", "batchnorm stream", "in batches of one class, GN - BN"),
            AtLeast(3.0),
        ),
        Part(
            "cost",
            "the stream costs LayerNorm itself at least 3 points",
            ahead(
                f"layernorm {SIZE}",
                "layernorm stream",
                "with LN, shuffled batches - batches of one class",
            ),
            AtLeast(3.0),
        ),
        Part(
            "mixed statistics",
            "statistics estimated anew over all classes win BatchNorm at least 3 points",
            Quantity(
                "test accuracy of BN after the stream, statistics over all classes - its own",
                "points",
                won_by_precise,
                ("batchnorm stream",),
            ),
            AtLeast(3.0),
        ),
        Part(
            "trains",
            "on the stream most seeds of BatchNorm are better than a guess",
            trains("batchnorm stream"),
            Rate(0.5),
        ),
    ),
    answers=Answers(
        supported="LayerNorm helps: " + NUMBERS + ".",
        refuted="LayerNorm does not help by 3 points: " + NUMBERS + ".",
        inconclusive="Whether LayerNorm helps by 3 points is open: " + NUMBERS + ".",
    ),
    caveats=(
        "Classes in turn, a batch each, are one sort of such a stream; in one long block for each "
        "class every network forgets all but the last, whatever its norm.",
        "LayerNorm over channels and positions of maps, as GroupNorm with one group.",
        "A single pass: 1,400 steps, far from any plateau.",
        "A seed that is no better than a guess at any rate, after a third of a pass, has the "
        "lowest one, 0.001; the grid is not extended.",
        "On the stream classes are taken equally often, and so a few images are left out.",
    ),
    would_change="A stream whose batches hold several classes, from where on BatchNorm is ahead.",
)
