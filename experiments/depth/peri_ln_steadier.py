"""Norms on both sides of each branch keep the residual stream steadier than norms before it.

Said by: "Peri-LN" (Kim et al. 2025).
Primary source: the same paper, up to 3.2 billion parameters: variance grows less along the depth,
and gradients are steadier than with Pre-LN.
Measured: 12 layers, norms on both sides by `placement=sandwich`. The stream's size at the last
block over that at the first after training, each seed at the rate of the lowest validation loss,
and what a learning rate that is
too large costs: the mean of the loss above the seed's best over rates from 0.003 to 0.1 (the
sensitivity of Wortsman et al. 2023), without warm-up.
Cost: normlab run peri-ln-steadier --profile full    40 trials to its first look, 13 minutes of one
core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.figure import Sweep
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast

RATES = (0.003, 0.01, 0.03, 0.1)
NAMES = ("pre", "sandwich")


def arms_of(placement: str) -> list[str]:
    return [f"{placement} {rate:g}" for rate in RATES]


def sensitivity(evidence: Evidence, placement: str) -> Values:
    """(n,) nats: the mean over RATES of the loss above the best of them.

    No loss counts above the trivial one.
    """
    arms = arms_of(placement)
    trivial = evidence.values(arms[0], "trivial_loss")[:, None]
    # How far a loss explodes says nothing: it is lost at the trivial one.
    losses = np.minimum(evidence.table(arms, "test_loss"), trivial)
    return np.asarray((losses - losses.min(axis=1, keepdims=True)).mean(axis=1))


def growth(evidence: Evidence, placement: str) -> Values:
    """(n,) doublings of the stream's variance, first block to last, at each seed's own rate."""
    arms = arms_of(placement)
    best = evidence.table(arms, "val_loss").argmin(axis=1)
    sizes = evidence.table(arms, "stream_growth")
    # 2: of a root mean square.
    return np.asarray(2 * np.log2(sizes[np.arange(len(best)), best]))


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
    clauses=(
        Part(
            "growth",
            "with norms on both sides the stream's variance grows at most half as fast with "
            "depth, in doublings",
            Quantity(
                "growth of the stream's variance from the first block to the last, half of pre's "
                "- sandwich's, each seed at the rate with the lowest validation loss",
                "doublings",
                lambda evidence: (0.5 * growth(evidence, "pre"), -growth(evidence, "sandwich")),
                tuple(arms_of("pre") + arms_of("sandwich")),
            ),
            AtLeast(0.0),
            expected=-2.4,
            noise=0.4,
        ),
    ),
    scope=(
        Part(
            "learning rate",
            "a learning rate that is too large costs Pre-LN 0.1 nats more",
            Quantity(
                f"mean loss above the seed's best over {len(RATES)} learning rates, pre - sandwich",
                "nats",
                lambda evidence: (sensitivity(evidence, "pre"), -sensitivity(evidence, "sandwich")),
                tuple(arms_of("pre") + arms_of("sandwich")),
            ),
            AtLeast(0.1),
        ),
    ),
    answers=Answers(
        supported="With norms on both sides of a branch the stream's variance grows at most half "
        "as fast over 12 layers: {growth.effect:.2f} doublings ({growth.low:.2f} to "
        "{growth.high:.2f}) below the half of Pre-LN's.",
        refuted="With norms on both sides of a branch the stream's variance does not grow half as "
        "fast: over 12 layers {growth.effect:+.2f} doublings ({growth.low:+.2f} to "
        "{growth.high:+.2f}) from the half of Pre-LN's, where plus is below it; a rate that is too "
        "large costs {learning rate.effect:+.2f} nats more with Pre-LN.",
        inconclusive="Whether norms on both sides halve the growth of the stream's variance is "
        "open: {growth.effect:+.2f} doublings ({growth.low:+.2f} to {growth.high:+.2f}) from the "
        "half of Pre-LN's.",
    ),
    caveats=("1,200 steps of a network 32 wide. Kim et al. normalise the embedding as well.",),
    would_change="A stream that grows as much with norms on both sides.",
    figure=Sweep(x="learning_rate", x_label="learning rate", by=("placement",), metric="test_loss"),
)
