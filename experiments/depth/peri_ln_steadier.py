"""Norms on both sides of each branch keep the residual stream steadier than norms before it.

Said by: "Peri-LN" (Kim et al. 2025).
Primary source: the same paper, up to 3.2 billion parameters: variance grows less along the depth,
and gradients are steadier than with Pre-LN.
Measured: 12 layers, norms on both sides by `placement=sandwich`. The stream's size at the last
block over that at the first after training at the arm's own rate, and what a learning rate that is
too large costs: the mean of the loss above the seed's best over rates from 0.003 to 0.1 (the
sensitivity of Wortsman et al. 2023), without warm-up.
Cost: normlab run peri-ln-steadier --profile cpu    2 minutes on 2 cores
"""

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.figure import Sweep
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast

RATES = (0.003, 0.01, 0.03, 0.1)
NAMES = ("pre", "sandwich")


def sensitivity(evidence: Evidence, placement: str) -> Values:
    """(n,) nats: the mean over RATES of the loss above the best of them.

    No loss counts above the trivial one.
    """
    arms = [f"{placement} {rate:g}" for rate in RATES]
    trivial = evidence.values(arms[0], "trivial_loss")[:, None]
    # How far a loss explodes says nothing: it is lost at the trivial one.
    losses = np.minimum(evidence.table(arms, "test_loss"), trivial)
    return np.asarray((losses - losses.min(axis=1, keepdims=True)).mean(axis=1))


def growth(evidence: Evidence, placement: str) -> Values:
    """(n,) doublings of the stream's root mean square, first block to last, at the first rate."""
    growth = evidence.values(f"{placement} {RATES[0]:g}", "stream_growth")
    return np.asarray(np.log2(growth))


def arm(placement: str, rate: float) -> Arm:
    return Arm(
        f"{placement} {rate:g}",
        (f"model.placement={placement}", "norm=layernorm", f"optim.lr={rate:g}"),
        tune=False,
        evaluations=("stream",),
        # The figure's coordinates.
        at={"placement": placement, "learning_rate": rate},
    )


CLAIM = Claim(
    slug="peri-ln-steadier",
    statement="Norms before and after each branch keep a deep transformer steadier than norms "
    "before it alone.",
    documents=("Peri-LN (Kim et al. 2025)",),
    source="Kim et al. 2025: a residual stream of linear, not exponential growth, and steadier "
    "gradients.",
    prediction="supported",
    arms=tuple(arm(placement, rate) for placement in NAMES for rate in RATES),
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
            Quantity(
                f"growth of the stream from the first block to the last, pre - sandwich, "
                f"at a learning rate of {RATES[0]:g}",
                "doublings",
                lambda evidence: growth(evidence, "pre") - growth(evidence, "sandwich"),
            ),
            AtLeast(1.0),
        ),
        Part(
            "learning rate",
            "a learning rate that is too large costs Pre-LN 0.1 nats more",
            Quantity(
                f"mean loss above the seed's best over {len(RATES)} learning rates, pre - sandwich",
                "nats",
                lambda evidence: sensitivity(evidence, "pre") - sensitivity(evidence, "sandwich"),
            ),
            AtLeast(0.1),
        ),
    ),
    caveats=("300 steps of a network 32 wide. Kim et al. normalise the embedding as well.",),
    would_change="A stream that grows as much with norms on both sides.",
    figure=Sweep(x="learning_rate", x_label="learning rate", by=("placement",), metric="test_loss"),
)
