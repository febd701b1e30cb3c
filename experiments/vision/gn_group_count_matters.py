"""The number of groups of group normalization needs careful search.

Said by: "Differences between Batch, Layer, Group and Instance Norm" and "How BN, IN and LN differ".
Primary source: Wu & He 2018, who introduced GN and compare numbers of groups and of channels per
group.
Measured: the ends are other norms: one group is layer norm, one channel per group is instance norm.
So what counts is the inside: 2, 4 and 8 groups, and 4 channels per group; the first convolutions
have 16 channels. What a search wins is the accuracy of the best of these over the worst, both
chosen on the validation split by the *other* seeds, so that choosing does not inflate it. A second
part sets the winner against the usual 8.
Cost: normlab run gn-group-count-matters --profile full    80 trials to its first look, 3.9 hours of
one core; 15 of them are other claims', too
"""

from collections.abc import Sequence

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.looks import Looks
from normlab.claims.protocols.images import image_protocols, per_sample_arm
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast

INSIDE = {
    "2 groups": "norm.num_groups=2",
    "4 groups": "norm.num_groups=4",
    "4 channels": "norm.channels_per_group=4",
}
INTERIOR = ("groupnorm", *INSIDE)
TEST = "test_accuracy"


def chosen(evidence: Evidence, arms: Sequence[str], *, best: bool) -> Values:
    """Test accuracy (n,) in points of the arm that is best, or worst, for each seed by the mean
    validation accuracy of the other seeds."""
    val, test = evidence.table(arms, "val_accuracy"), evidence.table(arms, TEST)
    # Under smoke there is one seed, and no other to choose by.
    if len(val) < 2:
        return 100 * test[:, 0]
    # (n, k): the mean over all seeds but the row's own.
    others = (val.sum(axis=0) - val) / (len(val) - 1)
    picked = others.argmax(axis=1) if best else others.argmin(axis=1)
    accuracy: Values = 100 * test[np.arange(len(test)), picked]
    return accuracy


def inside(evidence: Evidence) -> Values:
    """Points (n,) between the best and the worst of `INTERIOR`."""
    return chosen(evidence, INTERIOR, best=True) - chosen(evidence, INTERIOR, best=False)


def over_default(evidence: Evidence) -> Values:
    """Points (n,) between the best of all four and 8 groups."""
    best = chosen(evidence, INTERIOR, best=True)
    return best - 100 * evidence.values("groupnorm", TEST)


CLAIM = Claim(
    slug="gn-group-count-matters",
    statement="The number of groups in group normalization has to be searched with care, for each "
    "domain.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "How BN, IN and LN differ",
    ),
    source="Wu & He 2018 compare group counts on ImageNet: GN is LN at one group and IN at one "
    "channel per group.",
    prediction="refuted or partly supported: flat inside, bad at the ends",
    arms=(
        per_sample_arm("groupnorm"),
        *(Arm(name, ("norm=groupnorm", override)) for name, override in INSIDE.items()),
    ),
    protocols=image_protocols(looks=Looks((8, 12, 20)), full_looks=Looks((5, 8, 12))),
    clauses=(
        Part(
            "inside",
            "inside, the best number of groups is a point better than the worst",
            Quantity(
                "test accuracy, best - worst of 2, 4 and 8 groups and 4 channels per group, "
                "chosen on the validation split by the other seeds",
                "points",
                inside,
                INTERIOR,
            ),
            AtLeast(1.0),
            expected=0.5,
            noise=0.6,
        ),
    ),
    scope=(
        Part(
            "default",
            "a search wins a point over the usual 8 groups",
            Quantity(
                "test accuracy, the best of all four, chosen on the validation split by the other "
                "seeds - 8 groups",
                "points",
                over_default,
                INTERIOR,
            ),
            AtLeast(1.0),
        ),
    ),
    answers=Answers(
        supported="The number of groups matters inside, too: the best is {inside.effect:.1f} "
        "points ({inside.low:.1f} to {inside.high:.1f}) above the worst of 2, 4 and 8 groups and "
        "4 channels per group; over the usual 8 a search wins {default.effect:.1f}.",
        refuted="The number of groups hardly matters: between 2, 4 and 8 groups and 4 channels "
        "per group lie {inside.effect:.1f} points ({inside.low:.1f} to {inside.high:.1f}); over "
        "the usual 8 a search wins {default.effect:.1f}.",
        inconclusive="Between 2, 4 and 8 groups and 4 channels per group lie {inside.effect:.1f} "
        "points ({inside.low:.1f} to {inside.high:.1f}): whether 1 is open.",
    ),
    caveats=(
        "Both ends are other norms: one group is layer norm (gn-beats-ln-vision), one channel per "
        "group instance norm (in-hurts-classification).",
        "The stages have 16 and 64 channels: a number of groups means other group sizes in each.",
        "A seed's choice rests on the other seeds, so the n differences are not quite independent.",
    ),
    would_change="An inside setting a point from the others, on another domain or at full size "
    "(profile gpu).",
)
