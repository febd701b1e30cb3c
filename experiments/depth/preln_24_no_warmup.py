"""Beyond 24 layers, or without warm-up, choose Pre-LN.

Said by: "Normalization Deep-Dive".
Primary source: Xiong et al. 2020: at initialization Pre-LN's gradients are well behaved, and it
trains without warm-up. To be weighed against it: Sun et al. 2025, whose deep Pre-LN layers do
little.
Measured: the cells of the depth map at 24 layers, each at its own learning rate.
Cost: normlab run preln-24-no-warmup --profile cpu    nothing of its own after
postln-12-layers-warmup, else 4 minutes
"""

from math import exp

from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.text import WARMUPS, depth_arm, depth_protocols
from normlab.claims.quantity import Quantity, perplexity_ratio
from normlab.claims.rules import AtLeast, Between

PRE, PRE_WARM, POST = "pre, no warm-up, 24", "pre, warm-up, 24", "post, no warm-up, 24"


def left(evidence: Evidence) -> Values:
    """(n,) of the gap between unigram entropy and Pre-LN: the share that Post-LN leaves.

    Both without warm-up.
    """
    post, pre = (evidence.values(arm, "test_loss") for arm in (POST, PRE))
    return (post - pre) / (evidence.values(PRE, "trivial_loss") - pre)


CLAIM = Claim(
    slug="preln-24-no-warmup",
    statement="At 24 layers and without warm-up Pre-LN trains, and Post-LN does not.",
    documents=("Normalization Deep-Dive",),
    source="Xiong et al. 2020: Pre-LN trains without the warm-up that Post-LN needs.",
    prediction="supported: Pre-LN loses nothing without warm-up, Post-LN stays at the unigram "
    "entropy",
    arms=tuple(
        depth_arm(placement, 24, warmup) for placement in ("pre", "post") for warmup in WARMUPS
    ),
    protocols=depth_protocols(),
    tuning_metric="val_loss",
    parts=(
        Part(
            "Pre-LN",
            "without warm-up its loss is at most 0.05 nats above that with warm-up",
            perplexity_ratio(
                PRE, PRE_WARM, words="perplexity of Pre-LN without warm-up over that with it"
            ),
            # Ratios of perplexities: exp of a difference in nats.
            Between(0, exp(0.05)),
        ),
        Part(
            "Post-LN",
            "without warm-up it leaves at least half of the gap that Pre-LN closes",
            Quantity(
                "share of the gap from the unigram entropy to Pre-LN's loss that Post-LN leaves, "
                "both without warm-up",
                "of the gap",
                left,
            ),
            AtLeast(0.5),
        ),
    ),
    caveats=("300 steps of a network 32 wide on characters. 24 layers, not more, on a CPU.",),
    would_change="A Post-LN of 24 layers that trains without warm-up at some learning rate.",
)
