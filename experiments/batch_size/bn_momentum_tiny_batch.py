"""Very small batches may call for a larger momentum of BatchNorm's running averages.

Said by: "How BN, IN and LN differ".
Primary source: torch.nn.BatchNorm2d's documentation: its momentum (0.1) is the weight of the new
batch, unlike the usual notion; Keras' momentum (0.99) is what is kept of the old average. The
statement means opposite things by them, so each convention is a part.
Measured: test accuracy by momentum. One network is trained per normalization batch n; its running
averages are then collected anew over 600 batches of n with every momentum at once.
Cost: normlab run bn-momentum-tiny-batch --profile full    15 trials to its first look, 38 minutes
of one core
"""

from typing import TYPE_CHECKING, Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.looks import Looks
from normlab.claims.metrics import percent
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from normlab.training.setup import Setup

MOMENTA = (0.5, 0.3, 0.1, 0.03, 0.01, None)  # None: the average of all batches
ARMS = ("2 samples", "4 samples")
BATCHES = 600  # 0.99^600 of the starting values is left: 0.2 %

Averages = dict[float | None, list[tuple[Any, Any]]]  # momentum -> mean and variance of each layer


def collect(trained: "Setup", layers: list[Any], n: int) -> Averages:
    """The running averages over `BATCHES` batches of `n` training samples, of every momentum."""
    import torch

    averages: Averages = {}
    for momentum in MOMENTA:
        # As a new layer starts: mean 0 and variance 1.
        averages[momentum] = [(0 * one.running_mean, 0 * one.running_var + 1) for one in layers]
    for layer in layers:
        # The buffers then hold the last batch's own statistics.
        # No ghost batches: each forward pass below is of n samples.
        layer.momentum, layer.ghost_batch = 1.0, None
    trained.model.train()
    # Rounded up: SGD batches that together hold 600 n samples.
    steps = -(-BATCHES * n // trained.cfg.data.batch_size)
    images = torch.cat([trained.data.batch(step)[0] for step in range(steps)])
    with torch.no_grad():
        for step in range(1, BATCHES + 1):
            trained.model(images[(step - 1) * n : step * n])
            for momentum, pairs in averages.items():
                for (mean, var), layer in zip(pairs, layers, strict=True):
                    # None: the average of k batches moves by 1 / k.
                    mean.lerp_(layer.running_mean, momentum or 1 / step)
                    var.lerp_(layer.running_var, momentum or 1 / step)
    return averages


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy of one trained network by the momentum of its running averages."""
    from normlab.training.running_statistics import batch_norms
    from normlab.training.step import evaluate

    n = options["normalization_batch"]
    # Trained with statistics of n samples, in the SGD batch that the claims share.
    overrides = (*options["overrides"], "norm=batchnorm", f"norm.ghost_batch={n}")
    trained = train_network(overrides, seed)
    layers = batch_norms(trained.model)
    metrics: dict[str, float] = {}
    # The weights stay; each momentum gets its own buffers for one evaluation.
    for momentum, pairs in collect(trained, layers, n).items():
        for (mean, var), layer in zip(pairs, layers, strict=True):
            layer.running_mean.copy_(mean)
            layer.running_var.copy_(var)
        batches = trained.data.eval_batches("test")
        metrics[f"accuracy_{momentum}"] = evaluate(trained.model, batches)[1]
    return Measurement(metrics, trained.source)


def gain(momentum: float, words: str) -> Quantity:
    """Points that a momentum (weight of the new batch) wins over 0.1, on average over n = 2 and 4;
    per seed."""

    def read(evidence: Evidence) -> Values:
        # Half of 100, which makes points: the mean of two.
        two, four = (
            50
            * (evidence.values(arm, f"accuracy_{momentum}") - evidence.values(arm, "accuracy_0.1"))
            for arm in ARMS
        )
        return two + four

    return Quantity(f"test accuracy, {words}, mean of n = 2 and 4", "points", read, ARMS)


CLAIM = Claim(
    slug="bn-momentum-tiny-batch",
    statement="Very small batches may call for a larger momentum of BatchNorm's running averages.",
    documents=("How BN, IN and LN differ",),
    source="PyTorch documents its momentum as the weight of the new batch (0.1), Keras its own as "
    "what is kept (0.99).",
    prediction="partly supported: refuted by PyTorch's convention, where 0.5 is worse; supported "
    "by Keras'",
    arms=tuple(Arm(f"{n} samples", options={"normalization_batch": n}) for n in (2, 4, 8)),
    protocols=as_options(
        image_protocols("optim.lr=0.1", full_epochs=SHORT, looks=Looks(), full_looks=Looks())
    ),
    trial=trial,
    clauses=(
        Part(
            "weight of the new batch",
            "a momentum of 0.5 beats the default of 0.1 at 2 and 4 samples (PyTorch)",
            gain(0.5, "momentum 0.5 - momentum 0.1"),
            AtLeast(0.5),
            expected=-1.7,
            noise=1.1,
        ),
        Part(
            "share that is kept",
            "keeping 0.99 beats keeping 0.9 at 2 and 4 samples (Keras' momentum)",
            gain(0.01, "keeping 0.99 - keeping 0.9"),
            AtLeast(0.5),
            expected=0.2,
            noise=0.5,
        ),
    ),
    answers=Answers(
        supported="In either convention a larger momentum wins at tiny batches: "
        "{weight of the new batch.effect:.1f} points in PyTorch's, "
        "{share that is kept.effect:.1f} in Keras'.",
        refuted="A larger momentum wins in neither convention at 2 and 4 samples: "
        "{weight of the new batch.effect:+.1f} points for 0.5 instead of 0.1 in PyTorch's, "
        "{share that is kept.effect:+.1f} for 0.99 instead of 0.9 in Keras'.",
        partly="It depends on the convention: 0.5 instead of 0.1 changes accuracy by "
        "{weight of the new batch.effect:+.1f} points in PyTorch's, where the momentum is the "
        "weight of the new batch; 0.99 instead of 0.9 by {share that is kept.effect:+.1f} in "
        "Keras', where it is what is kept.",
        inconclusive="In PyTorch's convention a larger momentum changes accuracy by "
        "{weight of the new batch.effect:+.1f} points, in Keras' by "
        "{share that is kept.effect:+.1f} ({share that is kept.low:.1f} to "
        "{share that is kept.high:.1f}): not both are decided.",
    ),
    caveats=(
        "Averages are collected after training: during it, a longer memory also lags behind "
        "weights that move.",
        "Below 3 / momentum batches a small momentum still holds its starting values.",
    ),
    would_change="Running averages over so few batches, or weights moving so fast, that a long "
    "memory is out of date.",
    metrics={
        f"accuracy_{momentum}": percent(f"test accuracy, running averages with momentum {momentum}")
        for momentum in MOMENTA
    },
)
