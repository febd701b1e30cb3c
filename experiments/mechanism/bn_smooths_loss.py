"""Batch normalization makes the loss landscape smoother.

Said by: "Normalization Deep-Dive" and "Batch Normalization, a walkthrough", who put it in the place
of internal covariate shift.
Primary source: Santurkar et al. 2018 (arXiv 1805.11604), section 3.1: along the gradient, at steps
of 1/2 to 4 times the learning rate, loss and gradient of a VGG on CIFAR-10 vary less with BN. Its
abstract says "significantly smoother", without a factor; that of 3 is the catalogue's.
Measured: as there, at 20 moments of a training of a plain CNN of ten layers: the range of the loss
over the steps, and the largest change of the gradient by length of the step, the effective
smoothness. Nets train at a rate of their own; the steps that are looked at are those of one rate,
0.03, in all. A seed's number is the median over the moments. What the paper does not do is scope:
BN takes the scale out of the weights before it, so that there the gradient falls, and with it both
measures, as weights grow, though the function stays. Divided by their norms, and along steps of 0.5
to 4 % of the norms, weights of any scale give the same. Pilot (quick, seed 1001), after all of this
was written and by which only the expected effects were set: none over BN 0.96 for the loss and 1.9
for the gradient, with the scale taken out 0.40 and 3.0.
Cost: normlab run bn-smooths-loss --profile full    15 trials to its first look, 50 minutes of one
core
"""

from math import inf
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.figure import Course
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.mechanism import RATES, mechanism_protocols
from normlab.claims.quantity import difference
from normlab.claims.rules import Between
from normlab.records.measurement import Measurement

STEP_RATE = 0.03  # of the steps that are looked at


def trial(options: Options, seed: int) -> Measurement:
    """Logs of the medians over the moments, and of each moment for the figure."""
    from normlab.measure.along_training import MOMENTS, along_training
    from normlab.measure.landscape import landscape

    def look(before: Any, setup: Any, step: int) -> dict[str, float]:
        x, y = setup.data.batch(step)
        return landscape(before, x, y, options["step_rate"])

    overrides = (*options["overrides"], f"norm={options['kind']}")
    training = along_training(overrides, seed, options["rates"], look)
    metrics = {"train_loss": training.loss, "rate": training.rate}
    for name in training.looks[0]:
        metrics[f"log_{name}"] = training.log_median(name)
    for name in ("smoothness", "relative_smoothness"):
        for k, value in enumerate(training.logs(name)):
            metrics[f"log_{name} at {100 * k / MOMENTS:g}"] = value
    return Measurement(metrics, training.data)


def part(
    name: str,
    statement: str,
    metric: str,
    words: str,
    baseline: str = "none",
    arm: str = "batchnorm",
    low: float = 3.0,
    expected: float | None = None,
) -> Part:
    """Of metrics that are logarithms, so that a difference is one of a ratio."""
    return Part(
        name,
        statement,
        difference(baseline, arm, metric, words=f"{words}, {baseline} over {arm}", unit="times"),
        Between(low, inf),
        expected=expected,
        noise=None if expected is None else 0.4,
    )


LOSS = "range of the loss along the gradient, at steps of one rate"
GRADIENT = "change of the gradient along it by length of the step"
RELATIVE = "of weights divided by their norms"

CLAIM = Claim(
    slug="bn-smooths-loss",
    statement="Batch normalization makes the loss landscape smoother: along the gradient loss and "
    "gradient vary less.",
    documents=("Normalization Deep-Dive", "Batch Normalization, a walkthrough"),
    source="Santurkar et al. 2018: with batch normalization the loss and its gradient vary less "
    "along the gradient; no factor.",
    prediction="supported as the paper measures it (5 to 50 times); much less, or nothing, is left "
    "where the scale of the weights is taken out",
    arms=tuple(
        Arm(
            kind,
            options={"kind": kind, "rates": RATES, "step_rate": STEP_RATE},
            at={"norm": kind},
        )
        for kind in ("none", "batchnorm", "groupnorm")
    ),
    protocols=mechanism_protocols({"quick": 20.0, "full": 200.0}),
    trial=trial,
    clauses=(
        part(
            "loss",
            "the loss varies 3 times less with BN",
            "log_loss_range",
            LOSS,
            expected=1.0,
        ),
        part(
            "gradient",
            "the gradient changes 3 times less with BN",
            "log_smoothness",
            GRADIENT,
            expected=1.9,
        ),
    ),
    scope=(
        part(
            "loss, scale taken out",
            "so it is where the scale of the weights is taken out",
            "log_relative_loss_range",
            f"range of the loss along the gradient, {RELATIVE}",
        ),
        part(
            "gradient, scale taken out",
            "so it is where the scale of the weights is taken out",
            "log_relative_smoothness",
            f"{GRADIENT}, {RELATIVE}",
        ),
        part(
            "gradient, by its size",
            "the gradient changes 1.5 times less, as a share of itself, over steps of one length",
            "log_relative_turn",
            f"change of the gradient along it as a share of itself, {RELATIVE}",
            low=1.5,
        ),
        part(
            "groupnorm",
            "the gradient changes 3 times less with GN, too",
            "log_smoothness",
            GRADIENT,
            arm="groupnorm",
        ),
        part(
            "groupnorm, scale taken out",
            "and so it does where the scale of the weights is taken out",
            "log_relative_smoothness",
            f"{GRADIENT}, {RELATIVE}",
            arm="groupnorm",
        ),
    ),
    answers=Answers(
        supported="As the paper measures it, yes: with BatchNorm the loss varies "
        "{loss.effect:.1f} times ({loss.low:.1f} to {loss.high:.1f}) less along the gradient and "
        "the gradient changes {gradient.effect:.1f} times ({gradient.low:.1f} to "
        "{gradient.high:.1f}) less; with the scale of the weights taken out, none over BatchNorm "
        "is {loss, scale taken out.effect:.2f} for the loss and "
        "{gradient, scale taken out.effect:.2f} ({gradient, scale taken out.low:.2f} to "
        "{gradient, scale taken out.high:.2f}) for the gradient.",
        refuted="Not by a factor of 3: without a norm the loss varies {loss.effect:.2f} times "
        "({loss.low:.2f} to {loss.high:.2f}) as much along the gradient as with BatchNorm, and the "
        "gradient changes {gradient.effect:.2f} times ({gradient.low:.2f} to {gradient.high:.2f}) "
        "as much; with the scale of the weights taken out it is "
        "{gradient, scale taken out.effect:.2f} times.",
        partly="By a factor of 3 for one of the two: without a norm the loss varies "
        "{loss.effect:.2f} times ({loss.low:.2f} to {loss.high:.2f}) as much along the gradient as "
        "with BatchNorm, and the gradient changes {gradient.effect:.2f} times ({gradient.low:.2f} "
        "to {gradient.high:.2f}) as much; with the scale of the weights taken out it is "
        "{gradient, scale taken out.effect:.2f} times.",
        inconclusive="Whether both by a factor of 3 is open: without a norm the loss varies "
        "{loss.effect:.2f} times ({loss.low:.2f} to {loss.high:.2f}) as much along the gradient as "
        "with BatchNorm, and the gradient changes {gradient.effect:.2f} times ({gradient.low:.2f} "
        "to {gradient.high:.2f}) as much.",
    ),
    caveats=(
        "Each net is looked at where its own training leads it: two landscapes at two places.",
        "Small images and short runs, 8x8 in quick and 16x16 in full, in place of a VGG at 32x32.",
        "Gains, shifts and biases have no part in the measures whose scale is taken out.",
    ),
    would_change="A net without norm, or weights of another scale, with as small changes at the "
    "same loss.",
    figure=Course(
        lines={
            "as the paper measures it": "log_smoothness",
            "scale of the weights taken out": "log_relative_smoothness",
        },
        arm="batchnorm",
        baseline="none",
        xs=tuple(5.0 * k for k in range(20)),
        x_label="share of the training, %",
        y_label="change of the gradient, no norm over BatchNorm",
        even="as smooth with BatchNorm as without",
    ),
    metrics={
        "log_loss_range": logarithm("range of the loss along the gradient, nats"),
        "log_smoothness": logarithm("change of the gradient along it, by length of the step"),
        "log_relative_loss_range": logarithm("range of the loss, weights of norm 1, nats"),
        "log_relative_smoothness": logarithm(
            "change of the gradient, weights of norm 1, by length"
        ),
        "log_relative_turn": logarithm("change of the gradient, weights of norm 1, relative"),
    },
)
