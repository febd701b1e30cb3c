"""Normalising queries and keys lets a transformer train at larger learning rates.

Said by: "Query-Key Normalization" (Henry et al. 2020), and Dehghani et al. 2023 (ViT-22B).
Primary source: Wortsman et al. 2023 (arXiv 2309.14322), who show on small models that attention
logits which grow at large rates are what QK-norm stops.
Measured: 6 layers without warm-up; LayerNorm over each head's channels. Sensitivity to the rate,
after Wortsman et al.: on a grid of factors of 2, the mean loss above the own best, over the rates
from the lower of both networks' best ones up, so that both are asked for the same rates.
Cost: normlab run qknorm-high-lr --profile full    60 trials to its first look, 12 minutes of one
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

RATES = (0.004, 0.008, 0.016, 0.032, 0.064, 0.128)


def arm(name: str, rate: float) -> Arm:
    overrides = (
        "norm=layernorm",
        f"model.qk_norm={str(name == 'qk-norm').lower()}",
        f"optim.lr={rate:g}",
    )
    at: dict[str, float | str] = {"attention": name, "learning_rate": rate}
    return Arm(f"{name} {rate:g}", overrides, tune=False, at=at)


def arms_of(name: str) -> list[str]:
    return [f"{name} {rate:g}" for rate in RATES]


def less_sensitive(evidence: Evidence) -> Values:
    """(n,) nats, plain - QK-norm: the mean loss above the own best, over the rates from the lower
    of both best ones up.

    No loss counts above the trivial one.
    """
    trivial = evidence.values(arms_of("plain")[0], "trivial_loss")[:, None]
    plain, normed = (
        np.minimum(evidence.table(arms_of(name), "test_loss"), trivial)
        for name in ("plain", "qk-norm")
    )
    first = np.minimum(plain.argmin(axis=1), normed.argmin(axis=1))
    above = np.arange(len(RATES)) >= first[:, None]

    def excess(losses: Values) -> Values:
        beyond = losses - losses.min(axis=1, keepdims=True)
        return np.asarray((beyond * above).sum(axis=1) / above.sum(axis=1))

    return excess(plain) - excess(normed)


CLAIM = Claim(
    slug="qknorm-high-lr",
    statement="Normalising queries and keys makes a transformer bear learning rates above the "
    "best one.",
    documents=("Query-Key Normalization (Henry et al. 2020)",),
    source="Wortsman et al. 2023: QK-norm keeps small models trainable at rates where attention "
    "logits blow up.",
    prediction="supported: twice the rate or more (of the first rule)",
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
    clauses=(
        Part(
            "sensitivity",
            "rates above the best cost at least 0.05 nats less with QK-norm",
            Quantity(
                "mean loss above the own best, over the rates from the lower of both best ones up, "
                "plain - QK-norm",
                "nats",
                less_sensitive,
                tuple(arms_of("plain") + arms_of("qk-norm")),
            ),
            AtLeast(0.05),
            expected=0.1,
            noise=0.08,
        ),
    ),
    answers=Answers(
        supported="With QK-norm rates above the best cost {sensitivity.effect:.2f} nats "
        "({sensitivity.low:.2f} to {sensitivity.high:.2f}) less than without.",
        refuted="QK-norm does not help at large rates here: rates above the best cost "
        "{sensitivity.effect:+.3f} nats ({sensitivity.low:.3f} to {sensitivity.high:.3f}) less "
        "with it, which is below 0.05.",
        inconclusive="Rates above the best cost {sensitivity.effect:+.3f} nats "
        "({sensitivity.low:.3f} to {sensitivity.high:.3f}) less with QK-norm: whether 0.05 is "
        "open.",
    ),
    caveats=(
        "1,200 steps of a network 32 wide (300 in quick): attention logits have little time to "
        "grow.",
    ),
    would_change="A longer run in which the rates without QK-norm fall behind.",
    figure=Sweep(x="learning_rate", x_label="learning rate", by=("attention",), metric="test_loss"),
)
