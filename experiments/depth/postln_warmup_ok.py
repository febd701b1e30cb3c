"""With warm-up, Post-LN is fine at 12 to 24 layers, as BERT shows.

Said by: "Normalization Deep-Dive".
Primary source: BERT-large has 24 layers in Post-LN; Liu et al. 2020 and Takase et al. 2022 find 12
to 18 layers hard or unstable even so.
Measured: the loss, each seed at its own rate; a network that does not train counts with the loss
that it has. Fine means at most 0.1 nats above Pre-LN. BERT draws from N(0, 0.02²). GPT-2's scale is
nearest to it, and decides; its projections into the stream are smaller by sqrt(2 depth), which is
in Post-LN's favour. Xavier's is beside it.
Cost: normlab run postln-warmup-ok --profile full    256 trials to its first look, 1.4 hours of one
core; all of them are other claims', too
"""

from math import exp

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.protocols.text import INITS, depth_arm, depth_name, depth_protocols
from normlab.claims.quantity import Quantity, trains
from normlab.claims.rules import Between, Rate


def part(depth: int, init: str) -> Part:
    """Supported up to 0.1 nats above Pre-LN."""
    post, pre = (depth_name(placement, depth, "warm-up", init) for placement in ("post", "pre"))
    return Part(
        f"{depth} layers" + ("" if init == "gpt2" else f", {init}"),
        f"with warm-up, Post-LN of {depth} layers is at most 0.1 nats above Pre-LN, initial scale "
        f"of {init}",
        Quantity(
            f"perplexity of Post-LN over Pre-LN, {depth} layers; a network that does not train "
            "counts with its loss",
            "times",
            # Of Post-LN all: what does not train must not be left out where that is the question.
            lambda evidence: (
                evidence.values(post, "test_loss"),
                -evidence.sample(pre, "test_loss"),
            ),
            (post, pre),
        ),
        # From 0: better than Pre-LN is no worse.
        Between(0, exp(0.1)),
        stands_for="BERT",
        expected=1.14 if depth == 12 else 1.5,
        noise=0.05 if depth == 12 else 0.2,
    )


def training(depth: int) -> Part:
    post = depth_name("post", depth, "warm-up", "gpt2")
    statement = f"with warm-up, most Post-LN networks of {depth} layers train"
    return Part(f"{depth} layers train", statement, trains(post), Rate(0.5))


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
    scope=(part(12, "xavier"), part(24, "xavier"), training(12), training(24)),
    answers=Answers(
        supported="With warm-up, drawn as GPT-2 is, Post-LN's perplexity is "
        "{12 layers.effect:.2f} times Pre-LN's at 12 layers ({12 layers.low:.2f} to "
        "{12 layers.high:.2f}) and {24 layers.effect:.2f} times at 24; "
        "{24 layers train.effect:.0%} of the seeds train there.",
        refuted="With warm-up, drawn as GPT-2 is, Post-LN is worse than Pre-LN by more than 0.1 "
        "nats: {12 layers.effect:.2f} times its perplexity at 12 layers ({12 layers.low:.2f} to "
        "{12 layers.high:.2f}), {24 layers.effect:.2f} times at 24; {12 layers train.effect:.0%} "
        "and {24 layers train.effect:.0%} of the seeds train.",
        partly="With warm-up it depends on the depth: drawn as GPT-2 is, Post-LN has "
        "{12 layers.effect:.2f} times Pre-LN's perplexity at 12 layers ({12 layers.low:.2f} to "
        "{12 layers.high:.2f}) and {24 layers.effect:.2f} times at 24 ({24 layers.low:.2f} to "
        "{24 layers.high:.2f}); {12 layers train.effect:.0%} and {24 layers train.effect:.0%} of "
        "the seeds train.",
        inconclusive="With warm-up, drawn as GPT-2 is, Post-LN has {12 layers.effect:.2f} times "
        "Pre-LN's perplexity at 12 layers ({12 layers.low:.2f} to {12 layers.high:.2f}) and "
        "{24 layers.effect:.2f} times at 24 ({24 layers.low:.2f} to {24 layers.high:.2f}): not "
        "both are decided.",
    ),
    caveats=(
        "1,200 steps, a quarter of them warm-up: BERT has a million, and 768 to 1024 channels "
        "instead of 32.",
    ),
    would_change="A longer warm-up with which 24 Post-LN layers reach Pre-LN's loss.",
)
