"""RMSNorm reaches LayerNorm's loss: centring and shift can be dropped.

Said by: "Normalization Deep-Dive".
Primary source: Zhang & Sennrich 2019 (comparable performance); Narang et al. 2021 (a slightly lower
loss with RMSNorm).
Measured: the loss of a GPT on characters with norms before the branches, each seed at its own rate.
Cost: normlab run rmsnorm-equal-loss --profile full    30 trials to its first look, 15 minutes of
one core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import text_protocols
from normlab.claims.quantity import difference
from normlab.claims.rules import Within

CLAIM = Claim(
    slug="rmsnorm-equal-loss",
    statement="RMSNorm reaches the same loss as LayerNorm.",
    documents=("Normalization Deep-Dive",),
    source="Zhang & Sennrich 2019: comparable performance; Narang et al. 2021: a final loss as low "
    "or lower.",
    prediction="supported: within 0.03 nats",
    arms=(Arm("layernorm", ("norm=layernorm",)), Arm("rmsnorm", ("norm=rmsnorm",))),
    protocols=text_protocols(
        "model.depth=4",
        "model.width=64",
        "data.batch_size=16",
        steps=400,
        full_steps=2000,
        seconds=6.0,
        gpu_overrides=("data.batch_size=64",),
    ),
    tuning_metric="val_loss",
    clauses=(
        Part(
            "loss",
            "the test losses agree within 0.03 nats",
            difference("rmsnorm", "layernorm", "test_loss", words="test loss, RMSNorm - LayerNorm"),
            Within(0.03),
            expected=0.008,
            noise=0.012,
        ),
    ),
    answers=Answers(
        supported="RMSNorm's loss minus LayerNorm's is {loss.effect:+.3f} nats a character "
        "({loss.low:+.3f} to {loss.high:+.3f}): the same within 0.03.",
        refuted="RMSNorm's loss minus LayerNorm's is {loss.effect:+.3f} nats a character "
        "({loss.low:+.3f} to {loss.high:+.3f}): more than 0.03.",
        inconclusive="RMSNorm's loss minus LayerNorm's is {loss.effect:+.3f} nats a character "
        "({loss.low:+.3f} to {loss.high:+.3f}): whether within 0.03 is open.",
    ),
    caveats=(
        "2,000 steps (400 in quick) of a network 64 wide with 4 layers; the equality of long runs "
        "is another matter.",
    ),
    would_change="A difference of 0.03 nats or more, either way.",
)
