"""With warm-up, Post-LN is fine at 12 to 24 layers, as BERT shows.

Said by: "Normalization Deep-Dive".
Primary source: BERT-large has 24 layers in Post-LN; Liu et al. 2020 and Takase et al. 2022 find 12
to 18 layers hard or unstable even so.
Measured: the loss, each seed at its own rate. Fine means at most 0.1 nats above Pre-LN. BERT draws
from N(0, 0.02²), as GPT-2 does, so that scale decides; Xavier's is beside it.
Cost: normlab run postln-warmup-ok --profile full    256 trials to its first look, 1.4 hours of one
core; all of them are other claims', too
"""

from math import exp

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.protocols.text import INITS, depth_arm, depth_name, depth_protocols
from normlab.claims.quantity import perplexity_ratio
from normlab.claims.rules import Between


def part(depth: int, init: str) -> Part:
    """Supported up to 0.1 nats above Pre-LN."""
    post, pre = (depth_name(placement, depth, "warm-up", init) for placement in ("post", "pre"))
    return Part(
        f"{depth} layers" + ("" if init == "gpt2" else f", {init}"),
        f"with warm-up, Post-LN of {depth} layers is at most 0.1 nats above Pre-LN, initial scale "
        f"of {init}",
        perplexity_ratio(post, pre, words=f"perplexity of Post-LN over Pre-LN, {depth} layers"),
        # From 0: better than Pre-LN is no worse.
        Between(0, exp(0.1)),
        expected=1.14 if depth == 12 else 1.5,
        noise=0.05,
    )


CLAIM = Claim(
    slug="postln-warmup-ok",
    statement="With warm-up, Post-LN of 12 to 24 layers trains as well as Pre-LN.",
    documents=("Normalization Deep-Dive",),
    source="Devlin et al. 2019 train 24 Post-LN layers with warm-up; Liu et al. 2020 find more "
    "than 12 hard with it.",
    prediction="partly supported or refuted: Post-LN has a narrower window of learning rates",
    arms=tuple(
        depth_arm(placement, depth, "warm-up", init)
        for placement in ("pre", "post")
        for init in INITS
        for depth in (12, 24)
    ),
    protocols=depth_protocols(),
    tuning_metric="val_loss",
    clauses=(part(12, "gpt2"), part(24, "gpt2")),
    scope=(part(12, "xavier"), part(24, "xavier")),
    answers=Answers(
        supported="With warm-up Post-LN's perplexity is {12 layers.effect:.2f} times Pre-LN's at "
        "12 layers ({12 layers.low:.2f} to {12 layers.high:.2f}) and {24 layers.effect:.2f} times "
        "at 24.",
        refuted="With warm-up Post-LN is worse than Pre-LN by more than 0.1 nats: "
        "{12 layers.effect:.2f} times its perplexity at 12 layers ({12 layers.low:.2f} to "
        "{12 layers.high:.2f}), {24 layers.effect:.2f} times at 24.",
        partly="With warm-up it depends on the depth: Post-LN has {12 layers.effect:.2f} times "
        "Pre-LN's perplexity at 12 layers ({12 layers.low:.2f} to {12 layers.high:.2f}) and "
        "{24 layers.effect:.2f} times at 24 ({24 layers.low:.2f} to {24 layers.high:.2f}).",
        inconclusive="With warm-up Post-LN has {12 layers.effect:.2f} times Pre-LN's perplexity "
        "at 12 layers ({12 layers.low:.2f} to {12 layers.high:.2f}) and {24 layers.effect:.2f} "
        "times at 24 ({24 layers.low:.2f} to {24 layers.high:.2f}): not both are decided.",
    ),
    caveats=(
        "1,200 steps, a quarter of them warm-up: BERT has a million, and 768 to 1024 channels "
        "instead of 32.",
    ),
    would_change="A longer warm-up with which 24 Post-LN layers reach Pre-LN's loss.",
)
