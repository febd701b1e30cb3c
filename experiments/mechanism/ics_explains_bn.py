"""Batch normalization works because it reduces internal covariate shift.

Said by: "BatchNorm vs LayerNorm" (a lesson) and "How BN, IN and LN differ"; "Normalization
Deep-Dive" and "Batch Normalization, a walkthrough" contest it.
Primary source: Ioffe & Szegedy 2015 (arXiv 1502.03167), who name the shift, the change of the
distribution of layers' inputs during training, and reduce it by normalization (abstract). To the
contrary Santurkar et al. 2018 (arXiv 1805.11604), whose abstract says that the stability of these
distributions has little to do with BN's success: with noise behind BN that moves them, a net trains
about as well (section 2).
Measured: a plain CNN of ten layers with no norm, with BN, and with BN and noise behind it, whose
mean and deviation are drawn anew for each channel at every step, each at a rate of its own. At 20
moments of the training, how far a single step moves mean and deviation of the inputs of layers, in
deviations; what layers read is looked at, behind norm, noise and ReLU. A seed's number is the
median over the moments. The training loss is that of the last 20 steps of an equal budget, with the
noise where there is noise. The sentence says two things: there is less shift with BN, and where it
is put back, what BN wins is lost, of which half decides. Pilot (quick, seed 1001), after all of
this was written and by which only the expected effect was set: without a norm inputs move 5.0 times
as far as with BN, with the noise 30 times; training loss 2.07 with no norm, 1.94 with BN, 2.04 with
noise behind it.
Cost: normlab run ics-explains-bn --profile full    25 trials to its first look, 1.4 hours of one
core
"""

from math import inf
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.figure import Against
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.contrasts import contrast, weighted
from normlab.claims.protocols.mechanism import RATES, mechanism_protocols
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast, Between
from normlab.records.measurement import Measurement

SHARED_RATE = 0.03  # at which both train
NETS: dict[str, tuple[str, bool]] = {  # a norm, and whether noise follows it
    "no norm": ("none", False),
    "BatchNorm": ("batchnorm", False),
    "noisy BatchNorm": ("batchnorm", True),
}


def trial(options: Options, seed: int) -> Measurement:
    """The training loss at the end, and logs of the medians over the moments."""
    from normlab.measure.along_training import along_training
    from normlab.measure.covariate_shift import add_noise, gradient_shift, input_drift

    def look(before: Any, setup: Any, step: int) -> dict[str, float]:
        # Of the batch after the last: the same at every moment, and not trained on.
        x, y = setup.data.batch(setup.steps)
        return {
            "drift": input_drift(before, setup.model, x),
            "gradient_shift": gradient_shift(before, setup.model, x, y),
        }

    def adapt(model: Any, shape: tuple[int, ...]) -> None:
        if options["noise"]:
            add_noise(model, seed)

    overrides = (*options["overrides"], f"norm={options['norm']}")
    training = along_training(overrides, seed, options["rates"], look, adapt)
    metrics = {
        "train_loss": training.loss,
        "rate": training.rate,
        "log_drift": training.log_median("drift"),
        "log_gradient_shift": training.log_median("gradient_shift"),
    }
    return Measurement(metrics, training.data)


def arms() -> tuple[Arm, ...]:
    """Each net at a rate of its own, then with and without BN at a shared one."""
    own = [
        Arm(name, options={"norm": norm, "noise": noise, "rates": RATES})
        for name, (norm, noise) in NETS.items()
    ]
    shared = [
        Arm(f"{name}, rate {SHARED_RATE:g}", options={**one.options, "rates": (SHARED_RATE,)})
        for name, one in zip(NETS, own, strict=True)
        if not one.options["noise"]
    ]
    return (*own, *shared)


def less(
    name: str,
    statement: str,
    more: str,
    arm: str,
    *,
    metric: str = "log_drift",
    low: float = 1.0,
    expected: float | None = None,
) -> Part:
    """Of metrics that are logarithms, so that a difference is one of a ratio."""
    what = {
        "log_drift": "how far a step moves the inputs of layers",
        "log_gradient_shift": "change of a layer's gradient by the step of the layers below",
    }[metric]
    return Part(
        name,
        statement,
        difference(more, arm, metric, words=f"{what}, {more} over {arm}", unit="times"),
        Between(low, inf),
        expected=expected,
        noise=None if expected is None else 0.3,
    )


CLAIM = Claim(
    slug="ics-explains-bn",
    statement="Batch normalization works because it reduces internal covariate shift: the inputs "
    "of layers move less.",
    documents=("BatchNorm vs LayerNorm", "How BN, IN and LN differ"),
    source="Ioffe & Szegedy 2015 propose it; Santurkar et al. 2018 find that BatchNorm with the "
    "shift put back trains about as well.",
    prediction="refuted: no less shift at rates of their own, and noisy BN trains nearly as BN "
    "does",
    arms=arms(),
    protocols=mechanism_protocols({"quick": 20.0, "full": 200.0}),
    trial=trial,
    clauses=(
        less(
            "shift",
            "with BN a step moves the inputs of layers less",
            "no norm",
            "BatchNorm",
            expected=5.0,
        ),
        Part(
            "needed",
            "with the shift put back more than half of what BN wins is lost",
            contrast(
                weighted(
                    "train_loss", {"noisy BatchNorm": 1.0, "BatchNorm": -0.5, "no norm": -0.5}
                ),
                "training loss: noisy BN - the middle of BN and no norm",
            ),
            AtLeast(0.0),
        ),
    ),
    scope=(
        Part(
            "gain",
            "BN's training loss is lower by 0.1 nats at the same budget",
            difference(
                "no norm", "BatchNorm", "train_loss", words="training loss: no norm - BatchNorm"
            ),
            AtLeast(0.1),
        ),
        less(
            "put back",
            "the noise puts it back: inputs move twice as far as with BN",
            "noisy BatchNorm",
            "BatchNorm",
            low=2.0,
        ),
        less(
            "more than without",
            "and farther than without a norm",
            "noisy BatchNorm",
            "no norm",
        ),
        less(
            "shift, same rate",
            "at the same learning rate a step moves the inputs of layers less with BN",
            f"no norm, rate {SHARED_RATE:g}",
            f"BatchNorm, rate {SHARED_RATE:g}",
        ),
        less(
            "gradients",
            "with BN the gradients of layers change less when the layers below move",
            "no norm",
            "BatchNorm",
            metric="log_gradient_shift",
        ),
        less(
            "gradients, same rate",
            "and so they do at the same learning rate",
            f"no norm, rate {SHARED_RATE:g}",
            f"BatchNorm, rate {SHARED_RATE:g}",
            metric="log_gradient_shift",
        ),
    ),
    answers=Answers(
        supported="The shift goes with it: without a norm a step moves the inputs of layers "
        "{shift.effect:.2f} times ({shift.low:.2f} to {shift.high:.2f}) as far as with BatchNorm, "
        "and noise that moves them {put back.effect:.1f} times as far takes more than half of "
        "what BatchNorm wins in training loss ({gain.effect:.2f} nats).",
        refuted="No: without a norm a step moves the inputs of layers {shift.effect:.2f} times "
        "({shift.low:.2f} to {shift.high:.2f}) as far as with BatchNorm, and noise that moves them "
        "{put back.effect:.1f} times as far as BatchNorm leaves a training loss "
        "{needed.effect:+.2f} nats ({needed.low:+.2f} to {needed.high:+.2f}) from the middle "
        "between BatchNorm's and that without a norm, which lie {gain.effect:.2f} apart.",
        partly="Half of it holds: without a norm a step moves the inputs of layers "
        "{shift.effect:.2f} times ({shift.low:.2f} to {shift.high:.2f}) as far as with BatchNorm; "
        "noise that moves them {put back.effect:.1f} times as far as BatchNorm leaves a training "
        "loss {needed.effect:+.2f} nats ({needed.low:+.2f} to {needed.high:+.2f}) from the middle "
        "between BatchNorm's and that without a norm, which lie {gain.effect:.2f} apart.",
        inconclusive="Without a norm a step moves the inputs of layers {shift.effect:.2f} times "
        "({shift.low:.2f} to {shift.high:.2f}) as far as with BatchNorm; noise that moves them "
        "{put back.effect:.1f} times as far as BatchNorm leaves a training loss "
        "{needed.effect:+.2f} nats ({needed.low:+.2f} to {needed.high:+.2f}) from the middle "
        "between BatchNorm's and that without a norm: not both are decided.",
    ),
    caveats=(
        "Noise does more than move distributions: it is noise, and its training loss holds it. "
        "What it costs is an upper bound of what the shift costs.",
        "Mean and deviation of each channel: no other change of a distribution counts.",
        "Small images and short runs, 8x8 in quick and 16x16 in full, in place of a VGG at 32x32.",
        "Whether BN trains faster is bn-speeds-training; here it is the training loss at the end.",
    ),
    would_change="Shift put back without noise, by layers below that are made to move, that takes "
    "what BN wins.",
    figure=Against(
        x="log_drift",
        x_label="how far a step moves the inputs of layers, in standard deviations",
        y="train_loss",
        y_label="training loss at the end, nats",
        arms=tuple(NETS),
        log_x=True,
    ),
    metrics={
        "log_drift": logarithm("how far a step moves the inputs of layers, standard deviations"),
        "log_gradient_shift": logarithm(
            "change of a layer's gradient by the layers below, relative"
        ),
    },
)
