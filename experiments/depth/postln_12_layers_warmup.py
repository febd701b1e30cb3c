"""Post-LN is unstable past about 12 layers without warm-up.

Said by: "Normalization Deep-Dive".
Primary source: Xiong et al. 2020, where Post-LN needs warm-up with 6 + 6 layers already; Liu et al.
2020 and Takase et al. 2022, where 10 to 18 layers are unstable *with* warm-up. So 12 is nearer to
the limit with warm-up than to the one without.
Measured: a GPT on characters; depths 2, 6, 12 and 24, each cell at its own learning rate. A depth
trains if its test loss closes half of the gap between the unigram entropy and Pre-LN's loss at that
depth and seed, Pre-LN with or without warm-up, whichever is lower. What counts is the deepest layer
count up to which every depth trains, per seed.
Cost: normlab run postln-12-layers-warmup --profile cpu    14 minutes on 2 cores, shared with three
claims
"""

import numpy as np

from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.figure import HeatMap
from normlab.claims.protocols.text import DEPTHS, PLACEMENTS, WARMUPS, depth_arm, depth_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast, Between


def deepest(evidence: Evidence, warmup: str, placement: str = "post") -> Values:
    """(n,) layers: the deepest of DEPTHS up to which all train; 1 if the shallowest does not."""
    trains = np.ones(len(evidence.seeds), dtype=bool)
    result = np.ones(len(evidence.seeds))
    for depth in DEPTHS:
        # (n,): the better of both, so that the bar does not hang on Pre-LN's own warm-up.
        pre = evidence.table([f"pre, {each}, {depth}" for each in WARMUPS], "test_loss").min(axis=1)
        trivial = evidence.values(f"pre, warm-up, {depth}", "trivial_loss")
        loss = evidence.values(f"{placement}, {warmup}, {depth}", "test_loss")
        # Half of the gap closed; once a depth fails, no deeper one counts.
        trains &= loss < (pre + trivial) / 2
        result = np.where(trains, depth, result)
    return result


def log_deepest_without(evidence: Evidence) -> Values:
    # `Between` decides about logarithms.
    return np.asarray(np.log(deepest(evidence, "no warm-up")))


def doublings(evidence: Evidence) -> Values:
    """(n,) log2 of the deepest that trains with warm-up over the deepest without."""
    ratio = deepest(evidence, "warm-up") / deepest(evidence, "no warm-up")
    return np.asarray(np.log2(ratio))


LAYERS = ", ".join(map(str, DEPTHS))

CLAIM = Claim(
    slug="postln-12-layers-warmup",
    statement="Without warm-up, Post-LN is unstable past about 12 layers.",
    documents=("Normalization Deep-Dive",),
    source="Xiong et al. 2020: Post-LN needs warm-up at 6 + 6 layers; Liu et al. 2020: over 12 it "
    "is hard even so.",
    prediction="partly supported: warm-up helps, but without it the limit lies below 8 layers",
    arms=tuple(
        depth_arm(placement, depth, warmup)
        for placement in PLACEMENTS
        for warmup in WARMUPS
        for depth in DEPTHS
    ),
    protocols=depth_protocols(),
    tuning_metric="val_loss",
    parts=(
        Part(
            "without warm-up",
            "the deepest Post-LN that trains without warm-up has 8 to 16 layers",
            Quantity(
                f"deepest of {LAYERS} up to which all train without warm-up, 1 if none",
                "layers",
                log_deepest_without,
            ),
            Between(8, 16),
        ),
        Part(
            "warm-up helps",
            "warm-up doubles the depth that trains",
            Quantity(
                f"deepest of {LAYERS} up to which all train, with warm-up over without",
                "doublings",
                doublings,
            ),
            AtLeast(1.0),
        ),
    ),
    caveats=(
        "300 steps of a network 32 wide on characters; initial scale, width, Adam's averages and "
        "rates move the limit.",
        "Warm-up is a quarter of the steps, 75 of 300. The deepest is one of 2, 6, 12 and 24 "
        "layers.",
        "The map's cells of DeepNorm and of norms on both sides (sandwich) are shown and decide no "
        "part here.",
    ),
    would_change="A Post-LN of 12 layers that trains without warm-up where one of 24 does not.",
    figure=HeatMap(x="depth", x_label="layers", by=("placement", "warmup")),
)
