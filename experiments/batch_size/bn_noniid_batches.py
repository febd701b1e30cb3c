"""BatchNorm misbehaves where samples that share statistics hold few classes; others do not.

Said by: "How BN, IN and LN differ", of skewed data and workers.
Primary source: Hsieh et al. 2020: skewed partitions of the labels are especially hard for networks
with BatchNorm, and GroupNorm recovers much.
Measured: test accuracy, with norms over single samples beside. SGD batches with all classes
overall; the groups of 8 samples that share statistics hold one class, two classes, or any.
Cost: normlab run bn-noniid-batches --profile full    160 trials to its first look, 3.3 hours of one
core; 30 of them are other claims', too
"""

from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import SHORT, batchnorm_arm, image_protocols, per_sample_arm
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast, Within

PROTOCOLS = image_protocols(full_epochs=SHORT)
SMOKE = PROTOCOLS["smoke"]  # its 128 digits hold too few of some class for a group
PROTOCOLS["smoke"] = replace(SMOKE, overrides=(*SMOKE.overrides, "data.subset=600"))


def skewed(kind: str, classes: int, *overrides: str, of: str = "") -> Arm:
    """Batches whose groups of 8 samples hold so many classes; `of`: more words for its name."""
    groups = ("data.group_size=8", f"data.group_classes={classes}")
    # Batch statistics at evaluation are BatchNorm's alone.
    evaluations = ("statistics",) if kind == "batchnorm" else ()
    name = f"{kind}{of} {classes} class{'es' * (classes > 1)}"
    return Arm(name, (f"norm={kind}", *overrides, *groups), evaluations=evaluations)


def drop(arm: str, baseline: str, norm: str, classes: str = "one class") -> Quantity:
    """Points of accuracy that skewed groups cost, running statistics at test time."""
    words = f"{norm}'s test accuracy, groups of any classes - groups of {classes}"
    return difference(baseline, arm, words=words)


CLAIM = Claim(
    slug="bn-noniid-batches",
    statement="Groups of few classes break BatchNorm, and leave norms over single samples as they "
    "are.",
    documents=("How BN, IN and LN differ",),
    source="Hsieh et al. 2020: label skew is especially hard for BatchNorm networks; GroupNorm "
    "recovers much.",
    prediction="supported: a drop of 10 points or more, as the class leaks through the group's "
    "statistics",
    arms=(
        # The baseline: groups of 8 of any class.
        batchnorm_arm(8),
        skewed("batchnorm", 1, "norm.ghost_batch=8"),
        skewed("batchnorm", 2, "norm.ghost_batch=8"),
        skewed("batchnorm", 1, of=" whole"),  # the same batches, statistics over the whole batch
        per_sample_arm("groupnorm"),
        skewed("groupnorm", 1),
        per_sample_arm("layernorm"),
        skewed("layernorm", 1),
    ),
    protocols=PROTOCOLS,
    clauses=(
        Part(
            "one class",
            "groups of one class cost BatchNorm 5 points",
            drop("batchnorm 1 class", "batchnorm 8", "BN"),
            AtLeast(5.0),
            stands_for="skewed workers",
            expected=20.0,
            noise=2.5,
        ),
        *(
            Part(
                kind,
                f"the same batches of one-class groups cost {name} less than 1 point",
                drop(f"{kind} 1 class", kind, short),
                Within(1.0),
                stands_for="skewed workers",
                expected=0.3,
                noise=0.8,
            )
            for kind, name, short in (
                ("groupnorm", "GroupNorm", "GN"),
                ("layernorm", "LayerNorm", "LN"),
            )
        ),
    ),
    scope=(
        Part(
            "two classes",
            "groups of two classes cost BatchNorm 5 points",
            drop("batchnorm 2 classes", "batchnorm 8", "BN", "two classes"),
            AtLeast(5.0),
        ),
        Part(
            "whole batch",
            "statistics over the whole batch, which holds all classes, cost BatchNorm less than 1 "
            "point",
            drop("batchnorm whole 1 class", "batchnorm 8", "BN"),
            Within(1.0),
        ),
    ),
    answers=Answers(
        supported="Where the 8 samples of a statistic are of one class, BatchNorm loses "
        "{one class.effect:.0f} points ({one class.low:.0f} to {one class.high:.0f}), GroupNorm "
        "{groupnorm.effect:.1f} and LayerNorm {layernorm.effect:.1f}.",
        refuted="Not as claimed: groups of one class cost BatchNorm {one class.effect:.1f} points "
        "({one class.low:.1f} to {one class.high:.1f}), GroupNorm {groupnorm.effect:.1f} and "
        "LayerNorm {layernorm.effect:.1f}.",
        partly="Where the 8 samples of a statistic are of one class, BatchNorm loses "
        "{one class.effect:.0f} points ({one class.low:.0f} to {one class.high:.0f}), GroupNorm "
        "{groupnorm.effect:.1f} and LayerNorm {layernorm.effect:.1f}: not all as claimed.",
        inconclusive="Groups of one class cost BatchNorm {one class.effect:.0f} points "
        "({one class.low:.0f} to {one class.high:.0f}), GroupNorm {groupnorm.effect:.1f} "
        "({groupnorm.low:.1f} to {groupnorm.high:.1f}) and LayerNorm {layernorm.effect:.1f}: not "
        "all is decided.",
    ),
    caveats=(
        "Groups of 8 in 128 (in 64 in quick); 3 epochs, since no plateau is asked for.",
        "Skewed arms take equally many images of each class and so a few steps less, up to a tenth "
        "in quick.",
    ),
    would_change="Groups so large that their statistics no longer tell the class.",
)
