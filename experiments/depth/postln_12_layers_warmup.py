"""Post-LN is unstable past about 12 layers without warm-up.

Said by: "Normalization Deep-Dive".
Primary source: Xiong et al. 2020 (arXiv 2002.04745), where Post-LN needs warm-up with 6 + 6 layers
already; Liu et al. 2020 and Takase et al. 2022, where 10 to 18 layers are unstable *with* warm-up.
So 12 is nearer to the limit with warm-up than to the one without.
Measured: a GPT on characters; depths 6, 12, 18 and 24 under the initial scales of GPT-2 and Xavier,
each seed of a cell at its own rate, from 1e-4 up. A network trains if its test loss closes half of
the gap from the unigram entropy to Pre-LN's mean loss in the same cell. "About 12" is read as: 6
layers train, and 18 do not.
Cost: normlab run postln-12-layers-warmup --profile full    1024 trials to its first look, 5.7 hours
of one core; 384 of them are other claims', too
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.figure import HeatMap
from normlab.claims.protocols.text import (
    DEPTHS,
    INITS,
    WARMUPS,
    closes_half,
    depth_arm,
    depth_name,
    depth_protocols,
)
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Rate


def part(depth: int, warmup: str, inits: tuple[str, ...], *, most: bool) -> Part:
    """Whether Post-LN trains at that depth, in most networks or in few, under all of `inits`."""
    arms = [depth_name("post", depth, warmup, init) for init in inits]
    references = [depth_name("pre", depth, warmup, init) for init in inits]

    def read(evidence: Evidence) -> Values:
        pairs = zip(arms, references, strict=True)
        each = np.stack([closes_half(evidence, arm, reference) for arm, reference in pairs])
        # Both must train, or neither may.
        return np.asarray(each.min(axis=0) if most else each.max(axis=0))

    both = len(inits) > 1
    under = "both initial scales" if both else f"the initial scale of {inits[0]}"
    how = "train" if most else "do not train"
    which = ("both" if most else "either") if both else "it"
    return Part(
        f"{depth} layers, {warmup}" + ("" if both else f", {inits[0]}"),
        f"of Post-LN, {depth} layers {how} with {warmup} under {under}",
        Quantity(
            f"seeds whose Post-LN of {depth} layers with {warmup} trains under {which}: "
            "it closes half of the gap from the unigram entropy to Pre-LN's mean loss",
            "of the seeds",
            read,
            (*arms, *references),
        ),
        Rate(0.5, above=most),
    )


def limit_between(low: int, high: int) -> Part:
    """Whether Post-LN trains without warm-up at `low` layers and not at `high`."""
    names = {
        (placement, depth): [depth_name(placement, depth, "no warm-up", init) for init in INITS]
        for placement in ("post", "pre")
        for depth in (low, high)
    }

    def trained(evidence: Evidence, depth: int) -> Values:
        pairs = zip(names["post", depth], names["pre", depth], strict=True)
        return np.stack([closes_half(evidence, post, pre) for post, pre in pairs])

    def read(evidence: Evidence) -> Values:
        shallow, deep = (trained(evidence, depth) for depth in (low, high))
        return np.asarray(shallow.min(axis=0) * (1 - deep.max(axis=0)))

    return Part(
        "limit",
        f"without warm-up Post-LN trains at {low} layers and not at {high}, under both initial "
        "scales",
        Quantity(
            f"seeds whose Post-LN without warm-up trains at {low} layers under both initial scales "
            f"and at {high} under neither: closes half of the gap from the unigram entropy to "
            "Pre-LN's mean loss",
            "of the seeds",
            read,
            tuple(arm for arms in names.values() for arm in arms),
        ),
        Rate(0.5),
    )


CLAIM = Claim(
    slug="postln-12-layers-warmup",
    statement="Without warm-up, Post-LN is unstable past about 12 layers.",
    documents=("Normalization Deep-Dive",),
    source="Xiong et al. 2020: Post-LN needs warm-up at 6 + 6 layers; Liu et al. 2020: over 12 it "
    "is hard even so.",
    prediction="partly supported: warm-up helps, but without it the limit lies below 8 layers",
    arms=tuple(
        depth_arm(placement, depth, warmup, init)
        for placement in ("pre", "post")
        for init in INITS
        for warmup in WARMUPS
        for depth in DEPTHS
    ),
    protocols=depth_protocols(),
    tuning_metric="val_loss",
    clauses=(limit_between(6, 18),),
    scope=(
        part(6, "no warm-up", INITS, most=True),
        part(18, "no warm-up", INITS, most=False),
        *(part(depth, "no warm-up", (init,), most=True) for depth in (6, 12) for init in INITS),
        *(part(18, "no warm-up", (init,), most=False) for init in INITS),
        *(part(depth, "warm-up", INITS, most=True) for depth in (12, 18, 24)),
    ),
    answers=Answers(
        supported="In {limit.effect:.0%} of the seeds ({limit.low:.0%} to {limit.high:.0%}) "
        "Post-LN without warm-up trains at 6 layers and not at 18; with it, 18 layers train in "
        "{18 layers, warm-up.effect:.0%}.",
        refuted="The limit is not about 12 layers: without warm-up Post-LN trains under both "
        "initial scales at 6 layers in {6 layers, no warm-up.effect:.0%} of the seeds, and at 18 "
        "under either in {18 layers, no warm-up.effect:.0%}: "
        "{18 layers, no warm-up, gpt2.effect:.0%} with GPT-2's, "
        "{18 layers, no warm-up, xavier.effect:.0%} with Xavier's.",
        inconclusive="Post-LN without warm-up trains at 6 layers and not at 18 in "
        "{limit.effect:.0%} of the seeds ({limit.low:.0%} to {limit.high:.0%}): whether in most "
        "is open. It trains at 6 in {6 layers, no warm-up.effect:.0%} and at 18 in "
        "{18 layers, no warm-up.effect:.0%}.",
    ),
    caveats=(
        "1,200 steps of a network 32 wide on characters; initial scale, width, Adam's averages "
        "and rates move the limit.",
        "Warm-up is a quarter of the steps.",
    ),
    would_change="A Post-LN of 18 layers that trains without warm-up, at some rate under either "
    "initial scale.",
    figure=HeatMap(x="depth", x_label="layers", by=("placement", "init", "warmup")),
)
