"""On a stream whose batches are of one class each, LayerNorm learns and BatchNorm does not.

Said by: "How BN, IN and LN differ", of data that are not independent and identically distributed.
Primary source: none that trains on such a stream. Ba et al. 2016 (arXiv 1607.06450) compute a
sample's statistics from itself alone; Hsieh et al. 2020 skew the labels of workers, not of time.
Measured: test accuracy after a single pass over CIFAR-10 in batches of 32. On the stream each batch
holds one class, and the classes take turns in an order that is drawn anew for each round; shuffled
it is the usual training. Each seed of each norm has a rate of its own, chosen by a third of a pass
of the same kind.
Cost: normlab run iid-samplewise-ln --profile full    100 trials to its first look, 2.3 hours of one
core; 30 of them are other claims', too
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import true_batch_arm, true_batch_protocols
from normlab.claims.quantity import difference, metric_difference, trains
from normlab.claims.rules import AtLeast, Rate

SIZE = 32
KINDS = ("batchnorm", "layernorm", "groupnorm")

PROTOCOLS = true_batch_protocols()
SMOKE = PROTOCOLS["smoke"]  # its 128 digits hold too few of any class for a batch
PROTOCOLS["smoke"] = replace(SMOKE, overrides=(*SMOKE.overrides, "data.subset=600"))


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


NUMBERS = (
    "{stream.effect:+.1f} points ({stream.low:+.1f} to {stream.high:+.1f}) from BatchNorm after a "
    "pass in batches of one class each, and {shuffled.effect:+.1f} ({shuffled.low:+.1f} to "
    "{shuffled.high:+.1f}) where they are shuffled"
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
            difference(
                "layernorm stream",
                "batchnorm stream",
                words="test accuracy after a pass in batches of one class, LN - BN",
            ),
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
            difference(
                f"layernorm {SIZE}",
                f"batchnorm {SIZE}",
                words="test accuracy after a pass in shuffled batches, LN - BN",
            ),
            AtLeast(3.0),
        ),
        Part(
            "groupnorm",
            "on the stream GroupNorm, too, is at least 3 points above BatchNorm",
            difference(
                "groupnorm stream",
                "batchnorm stream",
                words="test accuracy after a pass in batches of one class, GN - BN",
            ),
            AtLeast(3.0),
        ),
        Part(
            "cost",
            "the stream costs LayerNorm itself at least 3 points",
            difference(
                f"layernorm {SIZE}",
                "layernorm stream",
                words="test accuracy of LN, shuffled batches - batches of one class",
            ),
            AtLeast(3.0),
        ),
        Part(
            "mixed statistics",
            "statistics estimated anew over all classes win BatchNorm at least 3 points",
            metric_difference(
                "batchnorm stream",
                "precise_test_accuracy",
                "test_accuracy",
                words="test accuracy of BN after the stream, statistics over all classes - its own",
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
        supported="It does: LayerNorm is " + NUMBERS + ".",
        refuted="It does not help by 3 points: LayerNorm is " + NUMBERS + ".",
        inconclusive="Whether it helps by 3 points is open: LayerNorm is " + NUMBERS + ".",
    ),
    caveats=(
        "Classes in turn, a batch each, are one sort of such a stream; in one long block for each "
        "class every network forgets all but the last, whatever its norm.",
        "LayerNorm over channels and positions of maps, as GroupNorm with one group.",
        "A single pass: 1,400 steps, far from any plateau.",
        "On the stream classes are taken equally often, and so a few images are left out.",
    ),
    would_change="A stream whose batches hold several classes, from where on BatchNorm is ahead.",
)
