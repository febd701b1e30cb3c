"""With warm-up, Post-LN is fine at 12 to 24 layers, as BERT shows.

Said by: "Normalization Deep-Dive".
Primary source: BERT-large has 24 layers in Post-LN; Liu et al. 2020 and Takase et al. 2022 find 12
to 18 layers hard or unstable even so.
Measured: the loss. Fine means no worse than Pre-LN, each at its own learning rate.
Cost: normlab run postln-warmup-ok --profile cpu    nothing of its own after
postln-12-layers-warmup, else 3 minutes
"""

from math import exp

from normlab.claims.claim import Claim, Part
from normlab.claims.protocols.text import depth_arm, depth_protocols
from normlab.claims.quantity import perplexity_ratio
from normlab.claims.rules import Between


def part(depth: int) -> Part:
    """Supported up to 0.02 nats above Pre-LN, partly up to 0.1."""
    post, pre = f"post, warm-up, {depth}", f"pre, warm-up, {depth}"
    return Part(
        f"{depth} layers",
        f"with warm-up, Post-LN of {depth} layers is no worse than Pre-LN",
        perplexity_ratio(post, pre, words="perplexity of Post-LN over Pre-LN"),
        # From 0: better than Pre-LN is no worse.
        Between(0, exp(0.02), partly=(0, exp(0.1))),
    )


CLAIM = Claim(
    slug="postln-warmup-ok",
    statement="With warm-up, Post-LN of 12 to 24 layers trains as well as Pre-LN.",
    documents=("Normalization Deep-Dive",),
    source="Devlin et al. 2019 train 24 Post-LN layers with warm-up; Liu et al. 2020 find more "
    "than 12 hard with it.",
    prediction="partly supported or refuted: Post-LN has a narrower window of learning rates",
    arms=tuple(
        depth_arm(placement, depth, "warm-up")
        for placement in ("pre", "post")
        for depth in (12, 24)
    ),
    protocols=depth_protocols(),
    tuning_metric="val_loss",
    parts=(part(12), part(24)),
    caveats=(
        "300 steps, a quarter of them warm-up: BERT has a million, and 768 to 1024 channels "
        "instead of 32.",
    ),
    would_change="A longer warm-up with which 24 Post-LN layers reach Pre-LN's loss.",
)
