"""RMSNorm reaches LayerNorm's loss: centring and shift can be dropped.

Said by: "Normalization Deep-Dive". Primary sources: Zhang & Sennrich 2019 (comparable performance); Narang et al. 2021
(a slightly lower loss with RMSNorm). A GPT on characters with norms before the branches, each arm at its own rate.

    normlab run rmsnorm-equal-loss --profile cpu        2 minutes on 2 cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import text_protocols
from normlab.claims.rules import equivalent_within

CLAIM = Claim(
    slug="rmsnorm-equal-loss",
    statement="RMSNorm reaches the same loss as LayerNorm.",
    documents=("Normalization Deep-Dive",),
    source="Zhang & Sennrich 2019: comparable performance; Narang et al. 2021: a final loss as low or lower.",
    prediction="supported: within 0.03 nats",
    arms=(Arm("layernorm", ("norm=layernorm",)), Arm("rmsnorm", ("norm=rmsnorm",))),
    protocols=text_protocols(
        "model.depth=4",
        "model.width=64",
        "data.batch_size=16",
        steps=400,
        seeds=8,
        tuning_seeds=2,
        seconds=6.0,
        gpu_overrides=("data.batch_size=64",),
    ),
    tuning_metric="val_loss",
    parts=(
        Part(
            "loss",
            "the test losses agree within 0.03 nats",
            "loss(rmsnorm) - loss(layernorm) within 0.03 nats either way (TOST)",
            lambda evidence: equivalent_within(
                evidence.difference("rmsnorm", "layernorm", "test_loss"), 0.03, "nats"
            ),
        ),
    ),
    caveats=(
        "400 steps of a network 64 wide with 4 layers; the equality of long runs is another matter.",
    ),
    would_change="A difference of 0.03 nats or more, either way.",
)
