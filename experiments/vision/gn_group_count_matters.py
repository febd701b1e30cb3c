"""The number of groups of group normalization needs careful search.

Said by: "Differences between Batch, Layer, Group and Instance Norm" and "How BN, IN and LN differ".
Primary source: Wu & He 2018, who introduced GN and compare numbers of groups and of channels per
group.
Measured: the ends are other norms: one group is layer norm, one channel per group is instance norm.
So what counts is the inside: 2 and 4 groups, and 4 channels per group; the first convolutions have
16 channels. What a search wins is the accuracy of the best of these over the worst, both chosen on
the validation split by the *other* seeds, so that choosing does not inflate it, and read on all
10,000 test images. A second part sets the winner, ends excluded, against the usual 8.
Cost: normlab run gn-group-count-matters --profile cpu    about 3 minutes on 2 cores
"""

from collections.abc import Sequence

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import image_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast

INSIDE = {
    "2 groups": "norm.num_groups=2",
    "4 groups": "norm.num_groups=4",
    "4 channels": "norm.channels_per_group=4",
}
TEST = "whole_test_accuracy"


def tested(name: str, *overrides: str) -> Arm:
    """An arm whose network is read on the whole test split."""
    return Arm(name, overrides, evaluations=("whole_test",))


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
    """Points (n,) between the best and the worst of `INSIDE`."""
    names = list(INSIDE)
    return chosen(evidence, names, best=True) - chosen(evidence, names, best=False)


def over_default(evidence: Evidence) -> Values:
    """Points (n,) between the best of all four and 8 groups."""
    best = chosen(evidence, ["groupnorm", *INSIDE], best=True)
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
        tested("groupnorm", "norm=groupnorm"),
        *(tested(name, "norm=groupnorm", override) for name, override in INSIDE.items()),
        tested("layernorm", "norm=layernorm"),
    ),
    protocols=image_protocols(seeds=8),
    parts=(
        Part(
            "inside",
            "inside, the best number of groups is a point better than the worst",
            Quantity(
                "accuracy on the whole test split, best - worst of 2 and 4 groups and 4 channels "
                "per group, chosen on the validation split by the other seeds",
                "points",
                inside,
            ),
            AtLeast(1.0),
        ),
        Part(
            "default",
            "a search wins a point over the usual 8 groups",
            Quantity(
                "accuracy on the whole test split, the best of all four, chosen on the validation "
                "split by the other seeds - 8 groups",
                "points",
                over_default,
            ),
            AtLeast(1.0),
        ),
    ),
    caveats=(
        "Layer norm (one group) is shown beside, and decides nothing; instance norm is in "
        "in-hurts-classification.",
        "The plain net has 16, 32 and 64 channels: a number of groups means other group sizes in "
        "each third.",
        "2 groups were tuned to 0.03, on two seeds a tie with 0.1, where the others are; by hand "
        "at 0.1 the seeds give 31.8 instead of 30.8 %, 0.7 below the best: half of the effect "
        "inside is the tuning's noise.",
        "A seed's choice rests on the other seeds, so the n differences are not quite independent.",
    ),
    would_change="An inside setting a point from the others, on another domain or at full size "
    "(profile gpu).",
)
