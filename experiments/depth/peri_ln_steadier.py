"""Norms on both sides of each branch keep the residual stream steadier than norms before it.

Said by: Peri-LN (Kim et al. 2025), up to 3.2 billion parameters: variance grows less along the depth, and gradients are
steadier than with Pre-LN. Here `placement=sandwich`. 12 layers; the stream's size at the last block over that at the
first after training at the arm's own rate, and what a learning rate that is too large costs: the mean of the loss above
the seed's best over rates from 0.003 to 0.1 (the sensitivity of Wortsman et al. 2023), without warm-up.

    normlab run peri-ln-steadier --profile cpu        2 minutes on 2 cores
"""

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.rules import greater_by

RATES = (0.003, 0.01, 0.03, 0.1)
NAMES = ("pre", "sandwich")


def sensitivity(evidence, placement):
    """(n,) nats: the mean over RATES of the loss above the best of them, no loss counted above the trivial one."""
    trivial = evidence.values(f"{placement} {RATES[0]:g}", "trivial_loss")[:, None]
    losses = np.minimum(
        evidence.table([f"{placement} {rate:g}" for rate in RATES], "test_loss"), trivial
    )
    return (losses - losses.min(axis=1, keepdims=True)).mean(axis=1)


def growth(evidence, placement):
    """(n,) doublings of the stream's root mean square from the first block to the last, at the first rate."""
    return np.log2(evidence.values(f"{placement} {RATES[0]:g}", "stream_growth"))


CLAIM = Claim(
    slug="peri-ln-steadier",
    statement="Norms before and after each branch keep a deep transformer steadier than norms before it alone.",
    documents=("Peri-LN (Kim et al. 2025)",),
    source="Kim et al. 2025: a residual stream of linear, not exponential growth, and steadier gradients.",
    prediction="supported",
    arms=tuple(
        Arm(
            f"{placement} {rate:g}",
            (f"model.placement={placement}", "norm=layernorm", f"optim.lr={rate:g}"),
            tune=False,
            evaluations=("stream",),
        )
        for placement in NAMES
        for rate in RATES
    ),
    protocols=text_protocols(
        "model.init=xavier",
        "model.depth=12",
        "data.batch_size=8",
        "optim.warmup=0",
        seconds=5.0,
        gpu_overrides=GPU_BATCH,
    ),
    tuning_metric="val_loss",
    parts=(
        Part(
            "growth",
            "the stream of Pre-LN doubles once more often between the first and the last block",
            "doublings(pre) - doublings(sandwich): supported from 1, refuted below a half",
            lambda evidence: greater_by(
                growth(evidence, "pre") - growth(evidence, "sandwich"), 1.0, "doublings"
            ),
        ),
        Part(
            "learning rate",
            "a learning rate that is too large costs Pre-LN 0.1 nats more",
            "sensitivity(pre) - sensitivity(sandwich): supported from 0.1 nats, refuted below 0.05",
            lambda evidence: greater_by(
                sensitivity(evidence, "pre") - sensitivity(evidence, "sandwich"), 0.1, "nats"
            ),
        ),
    ),
    caveats=("300 steps of a network 32 wide. Kim et al. normalise the embedding as well.",),
    would_change="A stream that grows as much with norms on both sides.",
    figure="sweep test_loss over learning rate",
)
