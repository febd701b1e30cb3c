"""Batch normalization speeds up training dramatically, and reliably.

Said by: "BatchNorm vs LayerNorm" (a lesson), "How BN, IN and LN differ" and "Batch Normalization, a
walkthrough".
Primary source: Ioffe & Szegedy 2015 (arXiv 1502.03167), whose abstract has "the same accuracy with
14 times fewer training steps"; that is with larger learning rates and more, all at once.
Measured: as there: how many times fewer steps BN needs to the training loss that the net without
norm has at the end of its budget. The rate is constant, so that no schedule says when the loss
falls, and chosen by each seed by its training loss at the end. The loss is the mean between two
entries of the curve, and both arms' steps are those to the first entry at or below the target, the
mean of the last losses without norm; a net that never gets there counts with the whole budget. BN
at the learning rate that is best without norm tells how much of it is the rate.

Cost: normlab run bn-speeds-training --profile full    90 trials to its first look, 36 minutes of
one core
"""

import math

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between
from normlab.records.record import Record

LAST = 3  # entries of the curve that are the loss at the end
DEPTHS = (5, 10)


def net(kind: str, depth: int) -> tuple[str, ...]:
    return (f"norm={kind}", "model=plaincnn", f"model.depth={depth}")


def arms() -> tuple[Arm, ...]:
    """Each depth without and with BN, then BN at the rate that is best without norm."""
    tuned = [
        Arm(f"{kind} {depth}", net(kind, depth))
        for depth in DEPTHS
        for kind in ("none", "batchnorm")
    ]
    same_rate = [
        Arm(f"batchnorm {n}, rate of none", (*net("batchnorm", n), "optim.lr=0.03"), tune=False)
        for n in DEPTHS
    ]
    return (*tuned, *same_rate)


def losses(record: Record) -> Values:
    """The training losses of the curve; infinite where they are not finite."""
    recorded = record.curve["train_loss"]
    # A loss that is not finite is null in the record, and never at or below a target.
    return np.array([math.inf if loss is None else loss for loss in recorded])


def steps_to(record: Record, loss: float) -> float:
    """Steps to the first entry of the curve at or below `loss`; all of them if there is none."""
    steps = np.array(record.curve["step"], dtype=float)
    reached = steps[losses(record) <= loss]
    return float(reached[0] if len(reached) else steps[-1])


def speedup(arm: str, baseline: str) -> Quantity:
    """ln of the ratio of steps to the last training loss of `baseline`, baseline over arm; two
    independent samples."""

    def read(evidence: Evidence) -> tuple[Values, Values]:
        trials = {name: evidence.trials(name) for name in (baseline, arm)}
        # Of several entries, since a single one is noisy; one target for all seeds.
        target = float(np.mean([losses(record)[-LAST:].mean() for record in trials[baseline]]))
        base, own = (
            np.log([steps_to(record, target) for record in records]) for records in trials.values()
        )
        return base, -own

    words = f"steps of {baseline} to its last training loss, over those of {arm} to the same loss"
    return Quantity(words, "times", read, (arm, baseline))


def faster(name: str, statement: str, arm: str, baseline: str) -> Part:
    rule = Between(2, math.inf)
    return Part(name, statement, speedup(arm, baseline), rule, expected=3.0, noise=0.3)


CLAIM = Claim(
    slug="bn-speeds-training",
    statement="Batch normalization speeds training up dramatically.",
    documents=(
        "BatchNorm vs LayerNorm",
        "How BN, IN and LN differ",
        "Batch Normalization, a walkthrough",
    ),
    source="Ioffe & Szegedy 2015: the same accuracy with 14 times fewer steps, for Inception on "
    "ImageNet.",
    prediction="supported: 1.5 to 3 times in 10 layers, less in 5",
    arms=arms(),
    protocols=tiny_protocols("optim.decay=constant", epochs=4, full_epochs=2),
    tuning_metric="train_loss",
    clauses=(
        faster("5 layers", "BN needs half the steps in 5 layers", "batchnorm 5", "none 5"),
        faster("10 layers", "BN needs half the steps in 10 layers", "batchnorm 10", "none 10"),
    ),
    scope=(
        *(
            faster(
                f"{n} layers, same rate",
                f"and so it does at the rate that is best without norm, in {n} layers",
                f"batchnorm {n}, rate of none",
                f"none {n}",
            )
            for n in DEPTHS
        ),
    ),
    answers=Answers(
        supported="With BatchNorm a net without norm's last training loss is reached in "
        "{5 layers.effect:.1f} times fewer steps ({5 layers.low:.1f} to {5 layers.high:.1f}) at 5 "
        "layers and {10 layers.effect:.1f} times at 10; at the rate of the net without norm in "
        "{5 layers, same rate.effect:.1f} and {10 layers, same rate.effect:.1f}.",
        refuted="BatchNorm does not halve the steps: {5 layers.effect:.1f} times fewer "
        "({5 layers.low:.1f} to {5 layers.high:.1f}) at 5 layers, {10 layers.effect:.1f} times at "
        "10.",
        partly="BatchNorm halves the steps at one of two depths: {5 layers.effect:.1f} times "
        "fewer ({5 layers.low:.1f} to {5 layers.high:.1f}) at 5 layers, {10 layers.effect:.1f} "
        "times ({10 layers.low:.1f} to {10 layers.high:.1f}) at 10.",
        inconclusive="BatchNorm needs {5 layers.effect:.1f} times fewer steps ({5 layers.low:.1f} "
        "to {5 layers.high:.1f}) at 5 layers and {10 layers.effect:.1f} times "
        "({10 layers.low:.1f} to {10 layers.high:.1f}) at 10: whether both 2 is open.",
    ),
    caveats=(
        "Steps, not seconds: a step with BN takes longer. Stability is in bn-lr-5-10x and "
        "bn-init-insensitive.",
        "About the start of a training: small images, 8x8 in quick and 16x16 in full, and few "
        "epochs.",
        "The rate of none, 0.03, is what most seeds without norm chose in the first generation.",
    ),
    would_change="A ratio below 1.2, or above 2 at the same learning rate, in nets and data of "
    "full size.",
)
