"""Beyond 24 layers, or without warm-up, choose Pre-LN.

Said by: "Normalization Deep-Dive".
Primary source: Xiong et al. 2020: at initialization Pre-LN's gradients are well behaved, and it
trains without warm-up. To be weighed against it: Sun et al. 2025, whose deep Pre-LN layers do
little.
Measured: the cells of the depth map at 24 layers, each seed at its own rate.
Cost: normlab run preln-24-no-warmup --profile full    192 trials to its first look, 1.1 hours of
one core; all of them are other claims', too
"""

from math import exp

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.text import (
    INITS,
    WARMUPS,
    closes_half,
    depth_arm,
    depth_name,
    depth_protocols,
)
from normlab.claims.quantity import Quantity, perplexity_ratio
from normlab.claims.rules import Between, Rate

DEPTH = 24


def part(name: str, statement: str, placement: str, *, most: bool) -> Part:
    """Whether networks without warm-up train, in most or in few seeds, under both scales."""
    arms = [depth_name(placement, DEPTH, "no warm-up", init) for init in INITS]
    # Pre-LN with warm-up, which is not in question.
    references = [depth_name("pre", DEPTH, "warm-up", init) for init in INITS]

    def read(evidence: Evidence) -> Values:
        pairs = zip(arms, references, strict=True)
        each = np.stack([closes_half(evidence, arm, reference) for arm, reference in pairs])
        # Both must train, or neither may.
        return np.asarray(each.min(axis=0) if most else each.max(axis=0))

    which = "both" if most else "either"
    words = (
        f"seeds whose {name} of {DEPTH} layers without warm-up trains under {which} of two initial "
        "scales: it closes half of the gap from the unigram entropy to Pre-LN's with warm-up"
    )
    quantity = Quantity(words, "of the seeds", read, (*arms, *references))
    return Part(name, statement, quantity, Rate(0.5, above=most), stands_for="more than 24 layers")


def loss(init: str) -> Part:
    pre, warm = (depth_name("pre", DEPTH, warmup, init) for warmup in WARMUPS)
    return Part(
        f"Pre-LN's loss, {init}",
        "without warm-up Pre-LN's loss is at most 0.05 nats above that with warm-up",
        perplexity_ratio(pre, warm, words="perplexity of Pre-LN without warm-up over with it"),
        # Ratios of perplexities: exp of a difference in nats.
        Between(0, exp(0.05)),
    )


CLAIM = Claim(
    slug="preln-24-no-warmup",
    statement="At 24 layers and without warm-up Pre-LN trains, and Post-LN does not.",
    documents=("Normalization Deep-Dive",),
    source="Xiong et al. 2020: Pre-LN trains without the warm-up that Post-LN needs.",
    prediction="supported: Pre-LN loses nothing without warm-up, Post-LN stays at the unigram "
    "entropy",
    arms=tuple(
        depth_arm(placement, DEPTH, warmup, init)
        for placement in ("pre", "post")
        for init in INITS
        for warmup in WARMUPS
        if (placement, warmup) != ("post", "warm-up")
    ),
    protocols=depth_protocols(),
    tuning_metric="val_loss",
    clauses=(
        part("Pre-LN", "without warm-up Pre-LN trains", "pre", most=True),
        part("Post-LN", "without warm-up Post-LN does not train", "post", most=False),
    ),
    scope=tuple(loss(init) for init in INITS),
    answers=Answers(
        supported="Of 24 layers without warm-up, Pre-LN trains in {Pre-LN.effect:.0%} of the "
        "seeds under both initial scales, and Post-LN in {Post-LN.effect:.0%} under either.",
        refuted="Of 24 layers without warm-up, Pre-LN trains in {Pre-LN.effect:.0%} of the seeds "
        "and Post-LN in {Post-LN.effect:.0%}: the reverse of what is claimed.",
        partly="Of 24 layers without warm-up, Pre-LN trains in {Pre-LN.effect:.0%} of the seeds "
        "under both initial scales ({Pre-LN.low:.0%} to {Pre-LN.high:.0%}), Post-LN in "
        "{Post-LN.effect:.0%} under either ({Post-LN.low:.0%} to {Post-LN.high:.0%}).",
        inconclusive="Of 24 layers without warm-up, Pre-LN trains in {Pre-LN.effect:.0%} of the "
        "seeds and Post-LN in {Post-LN.effect:.0%} ({Post-LN.low:.0%} to {Post-LN.high:.0%}): not "
        "both are decided.",
    ),
    caveats=("1,200 steps of a network 32 wide on characters. 24 layers, not more, on a CPU.",),
    would_change="A Post-LN of 24 layers that trains without warm-up at some learning rate.",
)
