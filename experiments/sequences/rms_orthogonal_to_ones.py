"""Language models keep their states orthogonal to the ones vector: centring them is redundant.

Said by: "Geometric Interpretation of Layer Normalization" (Gupta et al. 2026).
Primary source: the same paper, of trained large language models, with LayerNorm and with RMSNorm;
it is offered as the reason why RMSNorm loses nothing.
Measured: at the input of every norm, |cos(h, 1)| = |mean(h)| / rms(h), per token of the test split,
its median over tokens and then over norms; centring removes 1 - sqrt(1 - cos²) of a state's norm. A
bound alone says little, since a random direction has a |cos| of 0.67 / sqrt(width), 0.06 at the
width of 128 used here; so beside it is asked that in a network trained with RMSNorm, which nothing
centres, the ones vector be no more than a random direction. The second clause asks for the
function: in the network trained with LayerNorm the norms no longer subtract the mean.
Cost: normlab run rms-orthogonal-to-ones --profile full    10 trials to its first look, 10 minutes
of one core
"""

from typing import TYPE_CHECKING

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.overrides import as_options
from normlab.claims.protocols.text import text_protocols
from normlab.claims.quantity import Quantity, metric_difference
from normlab.claims.rules import Between, Within
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from torch import nn


def trial(options: Options, seed: int) -> Measurement:
    """Medians of |cos(h, 1)|, and the loss with and without LayerNorm's mean.

    Of |cos(h, 1)|: of the typical and of the worst norm, and of a random direction.
    """
    import torch

    from normlab.measure.networks import train_network
    from normlab.measure.states import inputs_of_norms, without_centring
    from normlab.training.step import evaluate

    trained = train_network([*options["overrides"], f"norm={options['kind']}"], seed)
    x, _ = next(iter(trained.data.eval_batches("test")))
    states = inputs_of_norms(trained.model, x)  # each (N, T, C)
    # |cos(h, 1)| = |sum h| / (|h| sqrt(C)) = |mean h| / rms h.
    cosines = [float((h.mean(-1).abs() / h.square().mean(-1).sqrt()).median()) for h in states]

    def loss(model: "nn.Module") -> float:
        return evaluate(model, trained.data.eval_batches("test"))[0]

    metrics = {
        "cosine": float(torch.tensor(cosines).median()),
        "cosine_worst": max(cosines),
        # The median of |z| of a standard normal z is 0.6745.
        "cosine_random": 0.6745 / states[0].shape[-1] ** 0.5,
        "test_loss": loss(trained.model),
        "loss_without_centring": loss(without_centring(trained.model)),
    }
    return Measurement(metrics, trained.source)


def removed(evidence: Evidence) -> Values:
    """Log (n,) of the share of a state's norm that centring removes: 1 - sqrt(1 - cos²)."""
    cosine = evidence.values("layernorm", "cosine")
    # -expm1(log1p): a cosine of 1e-4 removes 5e-9, which 1 - (1 - ...) would round away.
    return np.asarray(np.log(-np.expm1(np.log1p(-(cosine**2)) / 2)))


def against_chance(evidence: Evidence) -> Values:
    cosine = evidence.values("rmsnorm", "cosine")
    return np.asarray(np.log(cosine / evidence.values("rmsnorm", "cosine_random")))


CLAIM = Claim(
    slug="rms-orthogonal-to-ones",
    statement="Language models keep their states orthogonal to the ones vector: LayerNorm's "
    "centring is redundant.",
    documents=("Geometric Interpretation of Layer Normalization (Gupta et al. 2026)",),
    source="Gupta et al. 2026: on average no component along the ones vector, with LayerNorm and "
    "with RMSNorm.",
    prediction="supported",
    arms=tuple(Arm(kind, options={"kind": kind}) for kind in ("layernorm", "rmsnorm")),
    protocols=as_options(
        text_protocols(
            "model.width=128",
            "model.num_heads=4",
            "data.batch_size=16",
            "optim.lr=0.003",
            seconds=15.0,
        )
    ),
    trial=trial,
    clauses=(
        Part(
            "removed",
            "centring removes less than 1 % of the norm of the states of a network trained with "
            "LayerNorm",
            Quantity(
                "share of a state's norm that LayerNorm's centring removes, the median",
                "of the norm",
                removed,
                ("layernorm",),
            ),
            Between(0, 0.01),
            expected=0.0001,
            noise=1.2,
        ),
        Part(
            "centring",
            "norms of the network trained with LayerNorm that stop subtracting the mean change "
            "its loss by less than 0.01 nats",
            metric_difference(
                "layernorm",
                "loss_without_centring",
                "test_loss",
                words="test loss, without centring - with it",
                unit="nats",
            ),
            Within(0.01),
            expected=0.0005,
            noise=0.001,
        ),
    ),
    scope=(
        Part(
            "RMSNorm",
            "those of a network trained with RMSNorm have no more of it than of a random direction",
            Quantity(
                "median of |cos(h, 1)| with RMSNorm, over that of a random direction",
                "times",
                against_chance,
                ("rmsnorm",),
            ),
            Between(0, 1.25),
        ),
    ),
    answers=Answers(
        supported="LayerNorm's centring removes {removed.effect:.2%} of the states' norm "
        "({removed.low:.2%} to {removed.high:.2%}), and leaving it out changes the loss by "
        "{centring.effect:+.4f} nats.",
        refuted="LayerNorm's centring is not redundant: it removes {removed.effect:.2%} of the "
        "states' norm, and leaving it out changes the loss by {centring.effect:+.3f} nats "
        "({centring.low:.3f} to {centring.high:.3f}).",
        partly="LayerNorm's centring removes {removed.effect:.2%} of the states' norm "
        "({removed.low:.2%} to {removed.high:.2%}), and leaving it out changes the loss by "
        "{centring.effect:+.4f} nats ({centring.low:.4f} to {centring.high:.4f}): one of both is "
        "small.",
        inconclusive="LayerNorm's centring removes {removed.effect:.2%} of the states' norm "
        "({removed.low:.2%} to {removed.high:.2%}), and leaving it out changes the loss by "
        "{centring.effect:+.4f} nats: not both are decided.",
    ),
    caveats=(
        "1,200 steps of a small network on characters (300 in quick); Gupta et al. looked at "
        "large language models.",
        "One learning rate for both. Initial weights have no mean on average: states start as "
        "random directions.",
    ),
    would_change="A network that trains for long and uses the direction that LayerNorm takes away.",
    metrics={
        "cosine": "|cosine| of a state with the ones vector, median",
        "cosine_random": "|cosine| of a random direction with the ones vector, median",
        "loss_without_centring": "test loss, norms without centring, nats",
    },
)
