"""With the right initialization Post-LN scales to 1000 layers: use it from 100 on.

Said by: "Normalization Deep-Dive". Primary source: DeepNet (Wang et al. 2022) trains 1000 layers, but DeepNorm changes
the residual connection, too: x is multiplied by alpha = (2 L)^(1/4) before the sum, and the initial gain of the value,
output and MLP weights is beta = (8 L)^(-1/4). The document leaves alpha out.
48 layers, no warm-up; Post-LN, alpha alone, beta alone, both (DeepNorm), and Pre-LN, each at its own learning rate.
200 steps and 3 seeds, which ran first, were too few to decide: DeepNorm was on its way in two of them.

    normlab run deepnet-1000 --profile cpu        6 minutes on 2 cores
"""

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import text_protocols
from normlab.claims.rules import greater_by, ratio_in_interval

PLACEMENTS = ("pre", "post", "deepnorm", "deepnorm_alpha", "deepnorm_beta")


def closed(evidence, arm):
    """(n,) of the gap between unigram entropy and Pre-LN: the share that `arm` closes."""
    trivial = evidence.values("pre", "trivial_loss")
    return (trivial - evidence.values(arm, "test_loss")) / (
        trivial - evidence.values("pre", "test_loss")
    )


CLAIM = Claim(
    slug="deepnet-1000",
    statement="The right initialization lets Post-LN scale to very deep stacks.",
    documents=("Normalization Deep-Dive",),
    source="Wang et al. 2022: 1000 layers with DeepNorm, which scales the residual besides the initialization.",
    prediction="partly supported: both halves together scale; the initialization alone does not",
    arms=tuple(
        Arm(placement, (f"model.placement={placement}", "norm=layernorm"))
        for placement in PLACEMENTS
    ),
    protocols=text_protocols(
        "model.init=xavier",
        "model.depth=48",
        "data.batch_size=8",
        "optim.warmup=0",
        steps=300,
        rates=(
            0.00033,
            0.001,
            0.003,
        ),  # where each half alone has trained, if at all (records of 400 steps)
        seeds=5,
        seconds=12.0,
        gpu_overrides=(
            "model.depth=200",
            "model.width=64",
            "data.context=64",
            "data.batch_size=16",
        ),
    ),
    tuning_metric="val_loss",
    parts=(
        Part(
            "DeepNorm",
            "without warm-up its loss is at most 0.1 nats above Pre-LN's",
            "perplexity of DeepNorm over Pre-LN: supported up to 1.105, refuted above",
            lambda evidence: ratio_in_interval(
                evidence.difference("deepnorm", "pre", "test_loss"), 0, np.exp(0.1)
            ),
        ),
        Part(
            "initialization alone",
            "with beta alone Post-LN closes half of the gap between the unigram entropy and Pre-LN",
            "share of the gap: supported from 0.5, refuted below 0.25",
            lambda evidence: greater_by(closed(evidence, "deepnorm_beta"), 0.5, "of the gap"),
        ),
    ),
    caveats=(
        "48 layers on a CPU, 200 on a GPU, and not 1000; 300 steps of 8 x 32 characters.",
        "Alpha alone and plain Post-LN are shown and decide no part.",
        "Records of 400 steps (results/earlier): DeepNorm was above the bound, and beta alone closed half of the gap.",
    ),
    would_change="Beta alone training where both halves do.",
)
