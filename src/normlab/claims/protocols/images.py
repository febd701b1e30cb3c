"""The protocols of the image claims, and the arms that several of them share."""

from dataclasses import replace
from typing import TypedDict, Unpack

from normlab.claims.claim import Arm, Protocol

RATES = (0.01, 0.03, 0.1, 0.3)  # SGD-Nesterov; extended where the best lies at the edge
SMALL_CIFAR = (
    "data=cifar10",
    "data.subset=5000",
    "data.eval_subset=2000",
    "data.image_size=16",
    "data.batch_size=64",
)


class Amounts(TypedDict, total=False):
    """How much `image_protocols` runs; its own numbers where one is left out."""

    epochs: float
    seeds: int
    tuning_seeds: int
    rates: tuple[float, ...]
    gpu_epochs: float


def image_protocols(
    *overrides: str,
    epochs: float = 4,
    seeds: int = 5,
    tuning_seeds: int = 2,
    rates: tuple[float, ...] = RATES,
    gpu_epochs: float = 30,
) -> dict[str, Protocol]:
    """smoke, cpu, cpu-embedded and gpu, with `overrides` last in each.

    cpu is CIFAR-10, 5,000 images of 16x16; cpu-embedded is digits; gpu is all of CIFAR-10 and a
    ResNet-20. The plain CNN runs on a CPU because it is where norms matter most per second.
    """
    cpu = Protocol(
        (*SMALL_CIFAR, f"trainer.max_epochs={epochs:g}", *overrides),
        seeds=seeds,
        learning_rates=rates,
        tuning_seeds=tuning_seeds,
        seconds_per_trial=1.25 * epochs,
    )
    # Digits are fewer and smaller, so that three times the epochs take less than half the time.
    digits = ("data=digits", "data.batch_size=64", f"trainer.max_epochs={3 * epochs:g}")
    cifar = ("data=cifar10", "data.batch_size=128", "model=resnet", "trainer=gpu")
    gpu = (*cifar, f"trainer.max_epochs={gpu_epochs:g}", *overrides)
    return {
        "smoke": _smoke(overrides, rates),
        "cpu": cpu,
        "cpu-embedded": replace(
            cpu, overrides=(*digits, *overrides), seconds_per_trial=0.4 * epochs
        ),
        "gpu": replace(cpu, overrides=gpu, seconds_per_trial=20.0),
    }


def _smoke(overrides: tuple[str, ...], rates: tuple[float, ...]) -> Protocol:
    """Four steps, which show that a claim runs and nothing else."""
    digits = ("data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64")
    return Protocol(
        (*digits, "trainer.max_steps=4", *overrides),
        seeds=1,
        # Two rates of one seed: it walks through the tuning as well.
        learning_rates=rates[1:3],
        tuning_seeds=1,
        extend=False,
        seconds_per_trial=0.2,
    )


def tiny_protocols(*overrides: str, **amounts: Unpack[Amounts]) -> dict[str, Protocol]:
    """`image_protocols` with images of 8x8 and 8 channels on a CPU: a second a trial, for claims of
    many cells.

    The arms name their model, so that `gpu` compares the same ones at full size.
    """
    tiny = ("data.image_size=8", "data.crop_padding=2", "model.width=8")
    protocols = image_protocols(*tiny, *overrides, **amounts)
    cpu = protocols["cpu"]
    # A quarter of the pixels of SMALL_CIFAR, and fewer channels.
    protocols["cpu"] = replace(cpu, seconds_per_trial=cpu.seconds_per_trial / 5)
    protocols["gpu"] = image_protocols(*overrides, **amounts)["gpu"]
    return protocols


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
    """The default arm of `kind`, put under corruptions, adapted to them, and left in train mode.

    Claims share it, and so its trials.
    """
    evaluations = ("corruptions", "adaptation", "train_mode")
    return Arm(kind, (f"norm={kind}",), evaluations=evaluations, at={"norm": kind})


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
