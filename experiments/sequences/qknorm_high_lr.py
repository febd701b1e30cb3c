"""Normalising queries and keys lets a transformer train at larger learning rates.

Said by: "Query-Key Normalization" (Henry et al. 2020), and Dehghani et al. 2023 (ViT-22B).
Primary source: Wortsman et al. 2023, who show on small models that attention logits which grow at
large rates are what QK-norm stops.
Measured: 6 layers without warm-up; LayerNorm over each head's channels. The largest useful rate of
a seed: on a grid of factors of 2, the largest whose test loss is within 0.1 nats of the seed's best
over the grid.
Cost: normlab run qknorm-high-lr --profile cpu    2 minutes on 2 cores
"""

from math import inf

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.figure import Sweep
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between

RATES = (0.004, 0.008, 0.016, 0.032, 0.064, 0.128)
USEFUL = 0.1  # nats above the best of the grid


def arm(name: str, rate: float) -> Arm:
    overrides = (
        "norm=layernorm",
        f"model.qk_norm={str(name == 'qk-norm').lower()}",
        f"optim.lr={rate:g}",
    )
    at: dict[str, float | str] = {"attention": name, "learning_rate": rate}
    return Arm(f"{name} {rate:g}", overrides, tune=False, at=at)


def largest(evidence: Evidence, name: str) -> Values:
    """Natural logarithm (n,) of the largest useful rate."""
    losses = evidence.table([f"{name} {rate:g}" for rate in RATES], "test_loss")
    useful = losses <= losses.min(axis=1, keepdims=True) + USEFUL
    # The best rate is always useful, so that there is a largest.
    return np.asarray(np.log((useful * np.array(RATES)).max(axis=1)))


CLAIM = Claim(
    slug="qknorm-high-lr",
    statement="Normalising queries and keys raises the largest useful learning rate.",
    documents=("Query-Key Normalization (Henry et al. 2020)",),
    source="Wortsman et al. 2023: QK-norm keeps small models trainable at rates where attention "
    "logits blow up.",
    prediction="supported: twice the rate or more",
    arms=tuple(arm(name, rate) for name in ("plain", "qk-norm") for rate in RATES),
    protocols=text_protocols(
        "model.init=xavier",
        "model.depth=6",
        "data.batch_size=8",
        "optim.warmup=0",
        seconds=3.0,
        gpu_overrides=GPU_BATCH,
    ),
    tuning_metric="val_loss",
    parts=(
        Part(
            "largest useful rate",
            "it is at least twice as large with QK-norm",
            Quantity(
                f"largest rate with a test loss within {USEFUL:g} nats of the best, QK-norm over "
                "plain",
                "times",
                lambda evidence: largest(evidence, "qk-norm") - largest(evidence, "plain"),
            ),
            Between(2, inf, partly=(1.2, inf)),
        ),
    ),
    caveats=("300 steps of a network 32 wide: attention logits have little time to grow.",),
    would_change="A longer run in which the rates without QK-norm fall behind.",
    figure=Sweep(x="learning_rate", x_label="learning rate", by=("attention",), metric="test_loss"),
)
