"""Batch normalization speeds up training dramatically, and reliably.

Said by: "BatchNorm vs LayerNorm" (a lesson), "How BN, IN and LN differ" and "Batch Normalization, a walkthrough".
Primary source: Ioffe & Szegedy 2015, whose abstract has "the same accuracy with 14 times fewer training steps"; that is
with larger learning rates and more, all at once. As there: how many times fewer steps BN needs to the training loss
that the net without norm has at the end of its budget. The rate is constant, so that no schedule says when the loss
falls, and tuned per arm by the training loss at the end. The loss is the mean between two entries of the curve (15
steps), and both arms' steps are those to the first entry at or below the target; a net that never gets there counts
with the whole budget. BN at the learning rate that is best without norm tells how much of it is the rate.
Version 2, after the trials: version 1 gave the net without norm, whose noisy curve meets its own last loss up to 57
steps early, its whole budget; its ratios were 3.25, 2.81, 2.27 and 2.71.

    normlab run bn-speeds-training --profile cpu        about a minute on 2 cores
"""

from dataclasses import replace

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.rules import ratio_in_interval
from normlab.records.verdict import PARTLY, SUPPORTED

LAST = 3  # entries of the curve that are the loss at the end


def net(kind, depth):
    return (f"norm={kind}", "model=plaincnn", f"model.depth={depth}")


def steps_to(curve, loss):
    """Steps to the first entry of the curve at or below `loss`; all of them if there is none."""
    reached = (
        step
        for step, value in zip(curve["step"], curve["train_loss"], strict=True)
        if value <= loss
    )
    return next(reached, curve["step"][-1])


def log_speedup(evidence, arm, baseline):
    """ln (n,) of the ratio of steps to the last training loss of `baseline`, baseline over arm, paired by seed."""
    ratios = []
    for seed in evidence.seeds:
        curve, base = (evidence.records[name][seed].curve for name in (arm, baseline))
        loss = np.mean(base["train_loss"][-LAST:])
        ratios.append(steps_to(base, loss) / steps_to(curve, loss))
    return np.log(ratios)


def faster(arm, baseline):
    def decide(evidence):
        finding = ratio_in_interval(
            log_speedup(evidence, arm, baseline), 1.5, np.inf, (1.2, np.inf)
        )
        return (
            replace(finding, verdict=PARTLY)
            if finding.verdict == SUPPORTED and finding.effect < 2
            else finding
        )

    return decide


RULE = "ratio of steps: supported from 2 with its interval above 1.5, partly if that is above 1.2, refuted below 1.2"

CLAIM = Claim(
    slug="bn-speeds-training",
    statement="Batch normalization speeds training up dramatically.",
    documents=(
        "BatchNorm vs LayerNorm",
        "How BN, IN and LN differ",
        "Batch Normalization, a walkthrough",
    ),
    source="Ioffe & Szegedy 2015: the same accuracy with 14 times fewer steps, for Inception on ImageNet.",
    prediction="supported: 1.5 to 3 times in 10 layers, less in 5",
    arms=(
        *(
            Arm(f"{kind} {depth}", net(kind, depth))
            for depth in (5, 10)
            for kind in ("none", "batchnorm")
        ),
        *(
            Arm(f"batchnorm {n}, rate of none", (*net("batchnorm", n), "optim.lr=0.03"), tune=False)
            for n in (5, 10)
        ),
    ),
    protocols=tiny_protocols("optim.decay=constant", epochs=4),
    tuning_metric="train_loss",
    parts=(
        *(
            Part(
                f"{n} layers",
                f"BN needs half the steps in {n} layers",
                RULE,
                faster(f"batchnorm {n}", f"none {n}"),
            )
            for n in (5, 10)
        ),
        *(
            Part(
                f"{n} layers, same rate",
                f"and so it does at the rate that is best without norm, in {n} layers",
                RULE,
                faster(f"batchnorm {n}, rate of none", f"none {n}"),
            )
            for n in (5, 10)
        ),
    ),
    caveats=(
        "Steps, not seconds: a step with BN takes longer. Stability is in bn-lr-5-10x and bn-init-insensitive.",
        "The rate of none is the one that its tuning seeds choose: 0.03, in 5 layers and in 10.",
    ),
    version=2,
    would_change="A ratio below 1.2, or above 2 at the same learning rate, in nets and data of full size.",
)
