"""Batch normalization speeds up training dramatically, and reliably.

Said by: "BatchNorm vs LayerNorm" (a lesson), "How BN, IN and LN differ" and "Batch Normalization, a
walkthrough".
Primary source: Ioffe & Szegedy 2015, whose abstract has "the same accuracy with 14 times fewer
training steps"; that is with larger learning rates and more, all at once.
Measured: as there: how many times fewer steps BN needs to the training loss that the net without
norm has at the end of its budget. The rate is constant, so that no schedule says when the loss
falls, and tuned per arm by the training loss at the end. The loss is the mean between two entries
of the curve (15 steps), and both arms' steps are those to the first entry at or below the target; a
net that never gets there counts with the whole budget. BN at the learning rate that is best without
norm tells how much of it is the rate.
Version 2, after the trials: version 1 gave the net without norm, whose noisy curve meets its own
last loss up to 57 steps early, its whole budget; its ratios were 3.25, 2.81, 2.27 and 2.71.
Cost: normlab run bn-speeds-training --profile cpu    about a minute on 2 cores
"""

import math

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeastTimes
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
    """ln (n,) of the ratio of steps to the last training loss of `baseline`, baseline over arm,
    paired by seed."""

    def read(evidence: Evidence) -> Values:
        ratios: list[float] = []
        pairs = zip(evidence.trials(arm), evidence.trials(baseline), strict=True)
        for record, base in pairs:
            # Of several entries: a single one is noisy.
            loss = float(losses(base)[-LAST:].mean())
            # Both by the same count: the baseline may meet its last loss early, too.
            ratios.append(steps_to(base, loss) / steps_to(record, loss))
        log_ratio: Values = np.log(ratios)
        return log_ratio

    words = f"steps of {baseline} to its last training loss, over those of {arm} to the same loss"
    return Quantity(words, "times", read)


def faster(name: str, statement: str, arm: str, baseline: str) -> Part:
    rule = AtLeastTimes(2.0, above=1.5, partly=1.2)
    return Part(name, statement, speedup(arm, baseline), rule)


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
    protocols=tiny_protocols("optim.decay=constant", epochs=4),
    tuning_metric="train_loss",
    parts=(
        *(
            faster(
                f"{n} layers",
                f"BN needs half the steps in {n} layers",
                f"batchnorm {n}",
                f"none {n}",
            )
            for n in DEPTHS
        ),
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
    caveats=(
        "Steps, not seconds: a step with BN takes longer. Stability is in bn-lr-5-10x and "
        "bn-init-insensitive.",
        "The rate of none is the one that its tuning seeds choose: 0.03, in 5 layers and in 10.",
    ),
    version=2,
    would_change="A ratio below 1.2, or above 2 at the same learning rate, in nets and data of "
    "full size.",
)
