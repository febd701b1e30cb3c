"""The noise of batch statistics regularises.

Said by: "How BN, IN and LN differ".
Primary source: Luo et al. 2018 (Towards Understanding Regularization in Batch Normalization) and
Hoffer et al. 2017, whose ghost batches generalize better than large ones; neither names a size for
small networks.
Measured: where there is something to regularise: 10,000 images of CIFAR-10 without augmentation,
for 24 epochs (5,000 and 12 in quick). BN's statistics are of the whole SGD batch, or of ghost
batches of 32 of its samples: steps and the noise of gradients are the same, that of statistics is
not. Evaluated with statistics that are averaged anew, so that no running average plays a part. That
32 decides was fixed before any run: Hoffer's ghost batches are of that order. 16 is scope, and so
is the same with augmentation.
Cost: normlab run bn-regularises --profile full    100 trials to its first look, 4.0 hours of one
core
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.metrics import metric as metric_of
from normlab.claims.protocols.images import SECONDS, image_protocols
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast

PRECISE = "precise_test_accuracy"
SUBSET = 10_000  # images in full
EPOCHS, CHOICE_EPOCHS = 24, 8
EVALUATION_S = 10.0


def arm(n: int | None, augmented: bool) -> Arm:
    """BN over ghost batches of n samples, None: over the whole batch."""
    ghost = () if n is None else (f"norm.ghost_batch={n}",)
    augment = () if augmented else ("data.augment=false",)
    overrides = ("norm=batchnorm", *ghost, *augment)
    return Arm(name(n, augmented), overrides, evaluations=("precise",))


def name(n: int | None, augmented: bool = False) -> str:
    return f"statistics of {n or 'all'}{', augmented' if augmented else ''}"


def protocols() -> dict[str, Protocol]:
    """Those of images, with fewer images and more epochs in full."""
    usual = image_protocols(epochs=12, full_epochs=EPOCHS, choice_epochs=CHOICE_EPOCHS)
    full, share = usual["full"], SUBSET / 45_000
    usual["full"] = replace(
        full,
        overrides=(*full.overrides, f"data.subset={SUBSET}"),
        seconds_per_trial=SECONDS * share * EPOCHS + EVALUATION_S,
        seconds_per_choice=SECONDS * share * CHOICE_EPOCHS + EVALUATION_S,
    )
    return usual


def gain(n: int, augmented: bool = False, metric: str = PRECISE) -> Quantity:
    """Of ghost batches of n over statistics of all samples."""
    few, every = name(n, augmented), name(None, augmented)
    return difference(few, every, metric, words=f"{metric_of(metric).words}: {few} - {every}")


CLAIM = Claim(
    slug="bn-regularises",
    statement="The noise of batch statistics regularises: BatchNorm over fewer samples generalizes "
    "better.",
    documents=("How BN, IN and LN differ",),
    source="Luo et al. 2018 and Hoffer et al. 2017: the noise of batch statistics regularises, and "
    "ghost batches generalize better than large batches.",
    prediction="supported without augmentation: 0.5 to 1.5 points; 0 to 0.3 with it",
    arms=(
        *(arm(n, False) for n in (16, 32, None)),
        *(arm(n, True) for n in (32, None)),
    ),
    protocols=protocols(),
    clauses=(
        Part(
            "gain",
            "without augmentation statistics of 32 samples give half a point more than those of "
            "the whole batch",
            gain(32),
            AtLeast(0.5),
            stands_for="batches of 512 and more",
            expected=1.2,
            noise=0.7,
        ),
    ),
    scope=(
        Part("sixteen", "so do statistics of 16 samples", gain(16), AtLeast(0.5)),
        Part("augmented", "so it is with augmentation", gain(32, True), AtLeast(0.5)),
        Part(
            "training",
            "the training loss with the noise is higher by 0.05 nats",
            gain(32, metric="train_loss"),
            AtLeast(0.05),
        ),
        Part(
            "test loss",
            "the test loss is lower by 0.02 nats",
            difference(
                name(None),
                name(32),
                "precise_test_loss",
                words=f"test loss with re-estimated statistics: {name(None)} - {name(32)}",
            ),
            AtLeast(0.02),
        ),
    ),
    answers=Answers(
        supported="Yes, without augmentation: BatchNorm over 32 samples is {gain.effect:.1f} "
        "points ({gain.low:.1f} to {gain.high:.1f}) better on test images than over the whole "
        "batch, over 16 by {sixteen.effect:+.1f}; with augmentation by {augmented.effect:+.1f}.",
        refuted="Not by half a point: without augmentation BatchNorm over 32 samples is "
        "{gain.effect:+.1f} points ({gain.low:+.1f} to {gain.high:+.1f}) from what it is over the "
        "whole batch on test images, over 16 {sixteen.effect:+.1f}; with augmentation "
        "{augmented.effect:+.1f}.",
        inconclusive="Whether by half a point is open: without augmentation BatchNorm over 32 "
        "samples is {gain.effect:+.1f} points ({gain.low:+.1f} to {gain.high:+.1f}) from what it "
        "is over the whole batch on test images; with augmentation {augmented.effect:+.1f}.",
    ),
    caveats=(
        "The whole batch has 128 samples, 64 in quick: its statistics have noise, too, but less.",
        "A small network on 10,000 images: where a network cannot fit its data, noise only hinders "
        "it. On all images, augmented, see bn-batch-below-16.",
        "The training loss has the noise in it: it is of train mode.",
    ),
    would_change="A gain with statistics of 16 to 64 samples in a network of full size.",
)
