"""Language models keep their states orthogonal to the ones vector: centring them is redundant.

Said by: "Geometric Interpretation of Layer Normalization" (Gupta et al. 2026).
Primary source: the same paper, of trained large language models, with LayerNorm and with RMSNorm;
it is offered as the reason why RMSNorm loses nothing.
Measured: at the input of every norm, |cos(h, 1)| = |mean(h)| / rms(h), per token of the test split,
its median over tokens and then over norms. The catalogue asks for 0.05 of a network trained with
LayerNorm. A bound alone says little, since a random direction has 0.67 / sqrt(width), 0.06 at the
width of 128 used here and 0.01 in a large model; so of a network trained with RMSNorm, which
nothing centres, it is asked (ours) that the ones vector be no more to it than a random direction. A
third part asks for the function: in the network trained with LayerNorm the norms no longer subtract
the mean. One pilot seed outside the evaluation's set width and budget.
Cost: normlab run rms-orthogonal-to-ones --profile cpu    1 minute on 2 cores
"""

from typing import TYPE_CHECKING

import numpy as np

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


def layernorm(evidence: Evidence) -> Values:
    return np.asarray(np.log(evidence.values("layernorm", "cosine")))


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
    parts=(
        Part(
            "LayerNorm",
            "the states of a network trained with LayerNorm are orthogonal to the ones vector",
            Quantity("median of |cos(h, 1)| with LayerNorm", "|cos|", layernorm),
            Between(0, 0.05),
        ),
        Part(
            "RMSNorm",
            "those of a network trained with RMSNorm have no more of it than of a random direction",
            Quantity(
                "median of |cos(h, 1)| with RMSNorm, over that of a random direction",
                "times",
                against_chance,
            ),
            Between(0, 1.25),
        ),
        Part(
            "centring",
            "norms of the network trained with LayerNorm that stop subtracting the mean cost it "
            "nothing",
            # The catalogue's margin for RMSNorm's loss.
            metric_difference(
                "layernorm",
                "loss_without_centring",
                "test_loss",
                words="test loss, without centring - with it",
                unit="nats",
            ),
            Within(0.03),
        ),
    ),
    caveats=(
        "300 steps of a small network on characters; Gupta et al. looked at large language models.",
        "One learning rate for both. Initial weights have no mean on average: states start as "
        "random directions.",
    ),
    would_change="A network that trains for long and uses the direction that LayerNorm takes away.",
)
