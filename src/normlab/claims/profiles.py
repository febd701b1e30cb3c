"""Profiles: how much a claim runs, by machine. The image claims share the protocols below."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from normlab.claims.claim import Arm, Claim, Protocol
from normlab.claims.run.request import Profile
from normlab.data.availability import PUBLISHED, is_here
from normlab.errors import choices

PROFILES = tuple(Profile)
# Under a profile, protocols by falling strength: the published data first, embedded data where those are not there.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "smoke": ("smoke",),
    "cpu": ("cpu", "cpu-embedded"),
    "gpu": ("gpu",),
}
STRENGTH = ("gpu", "cpu", "cpu-embedded")  # of evidence; smoke is none


def protocol_name(claim: Claim, profile: str) -> str | None:
    """Which of the claim's protocols runs under `profile` on this machine; None if it has none."""
    if profile not in VARIANTS:
        raise choices("profile", profile, PROFILES)
    names = [name for name in VARIANTS[profile] if name in claim.protocols]
    for name in names:
        if name == names[-1] or all(is_here(data) for data in published(claim.protocols[name])):
            return name
    return None


def published(protocol: Protocol) -> list[str]:
    """The published data sets that a protocol needs; embedded ones are always here."""
    named = [
        override.removeprefix("data=")
        for override in protocol.overrides
        if override.startswith("data=")
    ]
    return [name for name in named if name in PUBLISHED]


def protocol_of(claim: Claim, profile: str) -> Protocol | None:
    """The protocol that runs under `profile` on this machine; None if the claim has none."""
    name = protocol_name(claim, profile)
    return None if name is None else claim.protocols[name]


def batchnorm_arm(n: int | None = None) -> Arm:
    """BatchNorm over ghost batches of `n` samples (None: the SGD batch), evaluated with other statistics too.

    Claims share it, and so its trials: metrics precise_, batch_ and instance_test_accuracy beside test_accuracy.
    """
    overrides = ("norm=batchnorm",) if n is None else ("norm=batchnorm", f"norm.ghost_batch={n}")
    return Arm(
        "batchnorm" if n is None else f"batchnorm {n}",
        overrides,
        evaluations=("statistics", "precise"),
    )


def inference_arm(kind: str) -> Arm:
    """The default arm of `kind`, put under corruptions, adapted to them, and left in train mode: claims share it."""
    return Arm(kind, (f"norm={kind}",), evaluations=("corruptions", "adaptation", "train_mode"))


def true_batch_arm(kind: str, size: int, accumulate: int = 1) -> Arm:
    """SGD batches of `size`, gradients of `accumulate` of them summed for each step: claims share it."""
    name = f"{kind} {size}" if accumulate == 1 else f"{kind} {size} x {accumulate}"
    overrides: tuple[str, ...] = (f"norm={kind}", f"data.batch_size={size}")
    if accumulate > 1:
        overrides += (f"trainer.accumulate={accumulate}",)
    return Arm(name, overrides, evaluations=("precise", "accumulation"))


_SMALL_CIFAR = (
    "data=cifar10",
    "data.subset=5000",
    "data.eval_subset=2000",
    "data.image_size=16",
    "data.batch_size=64",
)
_RATES = (0.01, 0.03, 0.1, 0.3)  # SGD-Nesterov; extended where the best lies at the edge


def image_protocols(
    *overrides: str,
    epochs: float = 4,
    seeds: int = 5,
    tuning_seeds: int = 2,
    rates: tuple[float, ...] = _RATES,
    gpu_epochs: float = 30,
) -> dict[str, Protocol]:
    """smoke, cpu (CIFAR-10, 5,000 images of 16x16), cpu-embedded (digits) and gpu (all of CIFAR-10, ResNet-20).

    `overrides` come last in each. The plain CNN runs on a CPU because it is where norms matter most per second.
    """
    cpu = Protocol(
        (*_SMALL_CIFAR, f"trainer.max_epochs={epochs:g}", *overrides),
        seeds=seeds,
        learning_rates=rates,
        tuning_seeds=tuning_seeds,
        seconds_per_trial=1.25 * epochs,
    )
    embedded = (
        "data=digits",
        "data.batch_size=64",
        f"trainer.max_epochs={3 * epochs:g}",
        *overrides,
    )
    smoke = (
        "data=digits",
        "data.subset=128",
        "data.batch_size=64",
        "trainer.max_steps=4",
        *overrides,
    )
    gpu = (
        "data=cifar10",
        "data.batch_size=128",
        "model=resnet",
        "trainer=gpu",
        f"trainer.max_epochs={gpu_epochs:g}",
    )
    return {
        "smoke": Protocol(
            smoke,
            seeds=1,
            learning_rates=rates[1:3],
            tuning_seeds=1,
            extend=False,
            seconds_per_trial=0.2,
        ),
        "cpu": cpu,
        "cpu-embedded": replace(cpu, overrides=embedded, seconds_per_trial=0.4 * epochs),
        "gpu": replace(cpu, overrides=(*gpu, *overrides), seconds_per_trial=20.0),
    }


def tiny_protocols(*overrides: str, **amounts: Any) -> dict[str, Protocol]:
    """`image_protocols` with images of 8x8 and 8 channels on a CPU: for claims of many cells, a second a trial.

    The arms name their model, so that `gpu` compares the same ones at full size.
    """
    protocols = image_protocols(
        "data.image_size=8", "data.crop_padding=2", "model.width=8", *overrides, **amounts
    )
    cpu = replace(protocols["cpu"], seconds_per_trial=protocols["cpu"].seconds_per_trial / 5)
    return {**protocols, "cpu": cpu, "gpu": image_protocols(*overrides, **amounts)["gpu"]}
