"""The protocols of the image claims, and the arms that several of them share."""

from dataclasses import replace
from typing import TypedDict, Unpack

from normlab.claims.claim import Arm, Protocol
from normlab.claims.looks import Looks

RATES = (0.01, 0.03, 0.1, 0.3)  # SGD-Nesterov; extended where the best lies at the edge
FULL_RATES = (0.03, 0.1, 0.3)
ONE, FEW = Looks((1,)), Looks((5, 8, 12))
SHORT = 3  # epochs for what needs no network at its plateau
SMALL_CIFAR = (
    "data=cifar10",
    "data.subset=5000",
    "data.image_size=16",
    "data.batch_size=64",
)
# 45,000 images of 32x32: 352 steps an epoch.
CIFAR = (
    "data=cifar10",
    "data.batch_size=128",
    "data.crop_padding=2",
    "model=speednet",
    "trainer.channels_last=true",
)
SECONDS = 50.0  # an epoch of CIFAR and its evaluation, on one core


class Amounts(TypedDict, total=False):
    """How much `image_protocols` runs; its own numbers where one is left out."""

    epochs: float
    looks: Looks
    rates: tuple[float, ...]
    full_epochs: float
    full_looks: Looks
    full_rates: tuple[float, ...]
    choice_epochs: float | None
    evaluations_s: float
    gpu_epochs: float


def image_protocols(
    *overrides: str,
    epochs: float = 4,
    looks: Looks = FEW,
    rates: tuple[float, ...] = RATES,
    full_epochs: float = 8,
    full_looks: Looks = FEW,
    full_rates: tuple[float, ...] = FULL_RATES,
    choice_epochs: float | None = None,
    evaluations_s: float = 0,
    gpu_epochs: float = 30,
) -> dict[str, Protocol]:
    """smoke, quick, quick-embedded, full and gpu, with `overrides` last in each.

    quick: 5,000 images of CIFAR-10 at 16x16 and a plain CNN, where norms matter most per second;
    quick-embedded: digits. full: all of CIFAR-10 at 32x32 and `model=speednet`, 8 epochs, after
    which GroupNorm is within a point of its plateau; a claim that needs no such network has SHORT.
    A rate is chosen by runs of half the epochs, in full of a third and at most 2 (`choice_epochs`),
    each with its own whole schedule. gpu: a ResNet-20. All test images in each. `evaluations_s`:
    seconds of the arms' own evaluations in full.
    """
    quick = Protocol(
        (*SMALL_CIFAR, f"trainer.max_epochs={epochs:g}", *overrides),
        looks=looks,
        learning_rates=rates,
        choice=(f"trainer.max_epochs={epochs / 2:g}",),
        seconds_per_trial=8 + 2.5 * epochs + evaluations_s / 5,
        seconds_per_choice=4 + 1.25 * epochs,
    )
    # Digits are fewer and smaller, so that three times the epochs take less than half the time.
    digits = ("data=digits", "data.batch_size=64", f"trainer.max_epochs={3 * epochs:g}")
    seconds = SECONDS * full_epochs + evaluations_s
    shorter = min(full_epochs / 3, 2) if choice_epochs is None else choice_epochs
    full = Protocol(
        (*CIFAR, f"trainer.max_epochs={full_epochs:g}", *overrides),
        looks=full_looks,
        learning_rates=full_rates,
        choice=(f"trainer.max_epochs={shorter:g}",),
        timeout_s=600 + 10 * seconds,
        seconds_per_trial=seconds,
        seconds_per_choice=SECONDS * shorter,
    )
    resnet = ("data=cifar10", "data.batch_size=128", "model=resnet", "trainer=gpu")
    gpu = (*resnet, f"trainer.max_epochs={gpu_epochs:g}", *overrides)
    return {
        "smoke": _smoke(overrides, rates),
        "quick": quick,
        "quick-embedded": replace(
            quick,
            overrides=(*digits, *overrides),
            choice=(f"trainer.max_epochs={1.5 * epochs:g}",),
            seconds_per_trial=0.4 * epochs,
            seconds_per_choice=0.4 * epochs,
        ),
        "full": full,
        # Minutes each there: a rate is chosen at the full budget.
        "gpu": replace(full, overrides=gpu, choice=(), timeout_s=1800.0, seconds_per_trial=20.0),
    }


def _smoke(overrides: tuple[str, ...], rates: tuple[float, ...]) -> Protocol:
    """Four steps, which show that a claim runs and nothing else."""
    digits = ("data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64")
    return Protocol(
        (*digits, "trainer.max_steps=4", *overrides),
        looks=ONE,
        # Two rates of one seed: it walks through their choice as well.
        learning_rates=rates[1:3],
        extend=False,
        seconds_per_trial=0.2,
    )


def tiny_protocols(*overrides: str, **amounts: Unpack[Amounts]) -> dict[str, Protocol]:
    """`image_protocols` with images of 8x8 and 8 channels in quick, a second a trial, and of 16x16
    in full: for claims of many cells, about the first steps of a training.

    full is quick with all 45,000 images, 16 channels and its own budget. The arms name their model,
    so that `gpu` compares the same ones at full size.
    """
    tiny = ("data.image_size=8", "data.crop_padding=2", "model.width=8")
    protocols = image_protocols(*tiny, *overrides, **amounts)
    for name in ("quick", "quick-embedded"):
        # A quarter of the pixels of SMALL_CIFAR, fewer channels; too few steps for shorter runs.
        cost = protocols[name].seconds_per_trial / 8
        protocols[name] = replace(protocols[name], choice=(), seconds_per_trial=cost)
    whole = image_protocols(*overrides, **amounts)
    protocols["gpu"] = whole["gpu"]
    epochs = amounts.get("full_epochs", 2)
    small = ("data=cifar10", "data.image_size=16", "data.crop_padding=2", "data.batch_size=64")
    protocols["full"] = replace(
        whole["full"],
        overrides=(*small, f"trainer.max_epochs={epochs:g}", "model.width=16", *overrides),
        learning_rates=amounts.get("full_rates", amounts.get("rates", RATES)),
        choice=(),  # of so few steps there is no shorter run
        seconds_per_trial=12.0 * epochs,
    )
    return protocols


def per_sample_arm(kind: str) -> Arm:
    """A norm that no other sample plays a part in, by its default options.

    Claims share it, and so its trials.
    """
    # in-hurts-classification reads it of these two.
    evaluations = ("contrast",) if kind in ("groupnorm", "instancenorm") else ()
    return Arm(kind, (f"norm={kind}",), evaluations=evaluations, at={"norm": kind})


def batchnorm_arm(n: int | None = None) -> Arm:
    """BatchNorm over ghost batches of `n` samples (None: the SGD batch).

    It is evaluated with other statistics, too: metrics precise_, batch_ and instance_test_accuracy
    beside test_accuracy. Claims share it, and so its trials.
    """
    evaluations = ("statistics", "precise")
    if n is None:
        return Arm(
            "batchnorm", ("norm=batchnorm",), evaluations=evaluations, at={"norm": "batchnorm"}
        )
    return Arm(
        f"batchnorm {n}",
        ("norm=batchnorm", f"norm.ghost_batch={n}"),
        evaluations=evaluations,
        at={"norm": "batchnorm", "normalization_batch": n},
    )


def inference_arm(kind: str) -> Arm:
    """The default arm of `kind`, put under corruptions; BatchNorm also adapted to them, and left in
    train mode: norms without running statistics do neither.

    Claims share it, and so its trials.
    """
    evaluations: tuple[str, ...] = ("corruptions",)
    if kind == "batchnorm":
        evaluations += ("adaptation", "train_mode")
    return Arm(kind, (f"norm={kind}",), evaluations=evaluations, at={"norm": kind})


def true_batch_protocols() -> dict[str, Protocol]:
    """For `true_batch_arm`: at batch 2 an epoch of CIFAR-10 has 22,500 steps, and one is enough."""
    protocols = image_protocols(
        epochs=1.2,
        rates=(0.003, 0.01, 0.03, 0.1, 0.3),
        full_epochs=1,
        full_rates=(0.003, 0.01, 0.03),
        gpu_epochs=2,
    )
    protocols["full"] = replace(
        protocols["full"], timeout_s=3600.0, seconds_per_trial=160.0, seconds_per_choice=55.0
    )
    return protocols


def true_batch_arm(kind: str, size: int, accumulate: int = 1) -> Arm:
    """SGD batches of `size`, gradients of `accumulate` of them summed for each step.

    Claims share it, and so its trials.
    """
    name = f"{kind} {size}"
    overrides: tuple[str, ...] = (f"norm={kind}", f"data.batch_size={size}")
    if accumulate > 1:
        name += f" x {accumulate}"
        overrides += (f"trainer.accumulate={accumulate}",)
    return Arm(
        name,
        overrides,
        evaluations=("precise", "accumulation"),
        at={"norm": kind, "normalization_batch": size},
    )
