"""Storing the batch's biased variance in the running buffer is what BatchNorm does.

Said by: "Batch Normalization, a walkthrough", in its code.
Primary source: Ioffe & Szegedy 2015, section 3.1, take the unbiased variance, m / (m - 1) times
that of the batch, for inference; torch stores that one, too, and normalizes training batches with
the biased one. So the buffers differ by N / (N - 1), N the values per channel.
Measured: the buffer after one update, and accuracy with either buffer. The catalogue's second rule
asks whether the difference shows: here as parts, in the claim's direction, that either buffer gives
the same accuracy. A fully connected network, since in a convolution N counts all pixels, and of two
hidden layers, since three do not learn at N = 2; each N is a true batch.
Cost: normlab run running-var-bias --profile full    20 trials to its first look, 17 minutes of one
core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.looks import Looks
from normlab.claims.metrics import percent
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import every, metric_difference
from normlab.claims.rules import Exact, Within
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

SIZES = (2, 4, 8, 32)


def name(n: int) -> str:
    """The arm's, of true batches of n."""
    return f"batches of {n}"


def trial(options: Options, seed: int) -> Measurement:
    """The buffers of one update, relative; and test accuracy with the unbiased and with the biased
    buffers."""
    import torch

    from normlab.norms import make_norm
    from normlab.training.running_statistics import batch_norms
    from normlab.training.step import evaluate

    n = options["batch"]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 64, generator=generator, dtype=torch.float64) * 3 + 1
    # Float64, so that N / (N - 1) is told from rounding.
    biased = x.var(0, unbiased=False)
    # Momentum 1: the buffer is what one batch stores.
    theirs: Any = torch.nn.BatchNorm1d(64, momentum=1.0)
    ours: Any = make_norm("batchnorm", 64, "NC", momentum=1.0)
    stored = []
    for layer in (theirs, ours):
        layer.double()(x)
        stored.append(layer.running_var / biased)
    metrics = {
        "ratio_off_1": max(float((ratio - 1).abs().max()) for ratio in stored),
        "ratio_off_unbiased": max(float((ratio * (n - 1) / n - 1).abs().max()) for ratio in stored),
    }
    trained = train_network((*options["overrides"], "norm=batchnorm", f"data.batch_size={n}"), seed)
    # In this order: the factor turns the unbiased buffers, which training left, into biased ones.
    for kind, factor in (("unbiased", 1.0), ("biased", (n - 1) / n)):
        for layer in batch_norms(trained.model):
            layer.running_var.mul_(factor)
        metrics[f"accuracy_{kind}"] = evaluate(trained.model, trained.data.eval_batches("test"))[1]
    return Measurement(metrics, trained.source)


def same_accuracy(n: int) -> Part:
    gap = metric_difference(
        name(n),
        "accuracy_unbiased",
        "accuracy_biased",
        words="test accuracy with the unbiased buffer - with the biased one",
        scale=100,
        unit="points",
    )
    statement = f"either buffer gives the same accuracy with {name(n)}"
    return Part(f"accuracy, {name(n)}", statement, gap, Within(0.5))


CLAIM = Claim(
    slug="running-var-bias",
    statement="Storing the batch's biased variance in the running buffer is what BatchNorm does.",
    documents=("Batch Normalization, a walkthrough",),
    source="Ioffe & Szegedy 2015, section 3.1: 'We use the unbiased variance estimate', m / (m - "
    "1) times the batch's.",
    prediction="refuted for the buffer; the accuracy differs at batches of 2 and 4 only",
    arms=tuple(Arm(name(n), options={"batch": n}) for n in SIZES),
    protocols=as_options(
        image_protocols(
            "model=mlp",
            "model.depth=2",
            "optim.lr=0.01",
            epochs=3,
            looks=Looks((5, 8, 12)),
            full_epochs=1,
        )
    ),
    trial=trial,
    clauses=(
        Part(
            "buffer",
            "torch's running variance is the batch's biased one",
            every(
                [name(n) for n in SIZES],
                ["ratio_off_1"],
                words="how far stored / biased variance is from 1 (fp64), torch's layer and ours, "
                "batches of 2 to 32",
            ),
            Exact(1e-6),
        ),
    ),
    scope=(*(same_accuracy(n) for n in SIZES),),
    answers=Answers(
        supported="torch's running buffer holds the biased variance, to {buffer.effect:.0e}.",
        refuted="torch's running buffer holds the unbiased variance: up to {buffer.effect:.0%} "
        "more than the biased one, at 2 samples; accuracy with it is "
        "{accuracy, batches of 2.effect:+.1f} points from that with the biased one there, and "
        "{accuracy, batches of 32.effect:+.2f} at 32.",
    ),
    caveats=("In a convolutional network N counts the pixels, too, and N / (N - 1) is near 1.",),
    would_change="A framework whose BatchNorm stores the biased variance: the code does what that "
    "one does.",
    metrics={
        "ratio_off_1": "|stored over biased variance - 1|, largest of the features",
        "accuracy_unbiased": percent("test accuracy with unbiased running variances"),
        "accuracy_biased": percent("test accuracy with biased running variances"),
    },
)
