"""Normalising queries and keys lets a transformer train at larger learning rates.

Said by: Henry et al. 2020, Dehghani et al. 2023 (ViT-22B), and Wortsman et al. 2023, who show on small models that
attention logits which grow at large rates are what QK-norm stops.
6 layers without warm-up; LayerNorm over each head's channels. The largest useful rate of a seed: on a grid of factors
of 2, the largest whose test loss is within 0.1 nats of the seed's best over the grid.

    normlab run qknorm-high-lr --profile cpu        2 minutes on 2 cores
"""

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.rules import ratio_in_interval

RATES = (0.004, 0.008, 0.016, 0.032, 0.064, 0.128)


def largest(evidence, name):
    """Natural logarithm (n,) of the largest useful rate."""
    losses = evidence.table([f"{name} {rate:g}" for rate in RATES], "test_loss")
    useful = losses <= losses.min(axis=1, keepdims=True) + 0.1
    return np.log((useful * np.array(RATES)).max(axis=1))


CLAIM = Claim(
    slug="qknorm-high-lr",
    statement="Normalising queries and keys raises the largest useful learning rate.",
    documents=("Query-Key Normalization (Henry et al. 2020)",),
    source="Wortsman et al. 2023: QK-norm keeps small models trainable at rates where attention logits blow up.",
    prediction="supported: twice the rate or more",
    arms=tuple(
        Arm(
            f"{name} {rate:g}",
            (
                "norm=layernorm",
                f"model.qk_norm={str(name == 'qk-norm').lower()}",
                f"optim.lr={rate:g}",
            ),
            tune=False,
        )
        for name in ("plain", "qk-norm")
        for rate in RATES
    ),
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
            "ratio of the largest useful rates: supported from 2, partly above 1.2, refuted below",
            lambda evidence: ratio_in_interval(
                largest(evidence, "qk-norm") - largest(evidence, "plain"), 2, np.inf, (1.2, np.inf)
            ),
        ),
    ),
    caveats=("300 steps of a network 32 wide: attention logits have little time to grow.",),
    would_change="A longer run in which the rates without QK-norm fall behind.",
    figure="sweep test_loss over learning rate",
)
