"""A zero gain on the last norm of each residual branch raises the largest trainable rate.

Said by: practitioners' threads (sonnet 185, tensorpack 420, simsiam 28), after "Accurate, Large
Minibatch SGD" (Goyal et al. 2017).
Primary source: Goyal et al. 2017 (arXiv 1706.02677), section 5.1: every block begins as the
identity, which improves all models there and helps most at large batches, whose rates are large.
Measured: a ResNet without warm-up is trained at 15 rates, a factor of sqrt(2) apart, from 0.1 to
12.8. The largest stable rate is the largest that neither explodes nor stays at the trivial loss;
the largest useful one comes within 3 points of the seed's best accuracy. Depth 20 decides.
Cost: normlab run zero-gamma --profile full    20 trials to its first look, 2.7 hours of one core
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

RATES = tuple(float(f"{0.1 * 2 ** (k / 2):.3g}") for k in range(15))
DEPTHS = (20, 32)
SECONDS = {20: 25.0, 32: 40.0}  # of one training in full, expected


def trial(options: Options, seed: int) -> Measurement:
    """Binary logarithms of the largest stable and useful rates, and the best accuracy."""
    from normlab.measure.largest_rate import largest_rates, zero_last_gains

    overrides = (*options["overrides"], f"model.depth={options['depth']}")
    adapt = zero_last_gains if options["zero"] else None
    return largest_rates(overrides, options["rates"], seed, adapt)


def protocols() -> dict[str, Protocol]:
    """Small images and few channels, as `bn-lr-5-10x` has them; every rate in each trial."""
    plain = tiny_protocols(
        "optim.warmup=0",
        "model=resnet",
        "model.width=8",
        epochs=3,
        full_epochs=1,
        looks=Looks(),
        full_looks=Looks(),
    )
    made = {}
    for name, one in as_options(plain).items():
        rates = RATES[::7] if name == "smoke" else RATES
        seconds = len(rates) * (sum(SECONDS.values()) / 2 if name == "full" else 4.0)
        options = {**one.options, "rates": rates}
        made[name] = replace(
            one,
            options=options,
            choice=(),
            timeout_s=600 + 10 * seconds,
            seconds_per_trial=seconds,
        )
    return made


def arm_name(depth: int, *, zero: bool) -> str:
    return f"{depth} layers, {'zero' if zero else 'one'}"


def doublings(depth: int, which: str, words: str) -> Quantity:
    """By how many doublings the rate is larger with a zero gain."""
    return difference(
        arm_name(depth, zero=True),
        arm_name(depth, zero=False),
        which,
        words=f"binary logarithm of the largest {words} rate of {depth} layers, gain 0 - gain 1",
        unit="doublings",
    )


CLAIM = Claim(
    slug="zero-gamma",
    statement="A zero gain on the last norm of each residual branch raises the largest learning "
    "rate at which a network trains.",
    documents=(
        "Accurate, Large Minibatch SGD (Goyal et al. 2017)",
        "Practitioners' threads",
    ),
    source="Goyal et al. 2017: it eases the start of the optimization and helps most at large "
    "batches; no largest rate is given.",
    prediction="inconclusive or refuted: with BN a ResNet of 20 layers trains at nearly any rate",
    arms=tuple(
        Arm(arm_name(depth, zero=zero), options={"depth": depth, "zero": zero})
        for depth in DEPTHS
        for zero in (False, True)
    ),
    protocols=protocols(),
    trial=trial,
    clauses=(
        Part(
            "stable",
            "with a zero gain the largest stable rate of 20 layers is half a doubling larger",
            doublings(20, "log2_stable", "stable"),
            AtLeast(0.5),
            expected=0.0,
            noise=0.7,
        ),
    ),
    scope=(
        Part(
            "stable, 32",
            "with a zero gain the largest stable rate of 32 layers is half a doubling larger",
            doublings(32, "log2_stable", "stable"),
            AtLeast(0.5),
        ),
        Part(
            "useful",
            "with a zero gain the largest useful rate of 20 layers is half a doubling larger",
            doublings(20, "log2_useful", "useful"),
            AtLeast(0.5),
        ),
        Part(
            "accuracy",
            "at the best rate a zero gain is worth at least half a point",
            difference(
                arm_name(20, zero=True),
                arm_name(20, zero=False),
                "best_accuracy",
                words="test accuracy of 20 layers at the best rate, gain 0 - gain 1",
            ),
            AtLeast(0.5),
        ),
    ),
    answers=Answers(
        supported="With a zero gain on the last norm of each branch the largest rate at which 20 "
        "layers train is {stable.effect:.1f} doublings larger ({stable.low:.1f} to "
        "{stable.high:.1f}), with 32 layers {stable, 32.effect:+.1f}; the largest at which they "
        "train well {useful.effect:+.1f}.",
        refuted="A zero gain on the last norm of each branch does not raise the largest rate at "
        "which 20 layers train by half a doubling: {stable.effect:+.1f} doublings "
        "({stable.low:+.1f} to {stable.high:+.1f}), with 32 layers {stable, 32.effect:+.1f}; the "
        "largest at which they train well {useful.effect:+.1f}.",
        inconclusive="With a zero gain on the last norm of each branch the largest rate at which "
        "20 layers train is {stable.effect:+.1f} doublings larger ({stable.low:+.1f} to "
        "{stable.high:+.1f}): whether half a one is open.",
    ),
    caveats=(
        "One epoch of images of 16x16 with 8 to 32 channels: the start of a training, for which "
        "the zero gain is meant; in Goyal et al. it comes with a warm-up.",
        "Of scale-invariant weights the gradient falls as they grow, so that a stable rate need "
        "not be a useful one.",
        "A rate that no grid holds counts as the grid's last, 12.8, or its first, 0.1.",
        "Best accuracies are the best of 15 on the test split, in both arms.",
    ),
    would_change="A ResNet of bottleneck blocks at large batches, where rates are at their limit.",
    metrics={
        "log2_stable": logarithm("largest learning rate that trains", 2),
        "log2_useful": logarithm("largest learning rate within 3 points of the best accuracy", 2),
        "best_accuracy": "test accuracy at the best learning rate",
    },
)
