"""Storing the batch's biased variance in the running buffer is what BatchNorm does.

Said by: "Batch Normalization, a walkthrough", in its code. Primary source: Ioffe & Szegedy 2015, section 3.1, take the
unbiased variance, m / (m - 1) times that of the batch, for inference; torch stores that one, too, and normalizes
training batches with the biased one. So the buffers differ by N / (N - 1), N the values per channel. The catalogue's
second rule asks whether that shows: here as parts, in the claim's direction, that either buffer gives the same
accuracy. A fully connected network, since in a convolution N counts all pixels, and of two hidden layers, since three
do not learn at N = 2; each N is a true batch.

    normlab run running-var-bias --profile cpu        2 minutes on one core
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.rules import equivalent_within, exact_within
from normlab.measure.networks import train_network

SIZES = (2, 4, 8, 32)
ARMS = tuple(f"batches of {n}" for n in SIZES)


def trial(options, seed):
    """The buffers of one update, relative; and test accuracy with the unbiased and with the biased buffers."""
    import torch

    from normlab.norms import make_norm
    from normlab.training.running_statistics import batch_norms
    from normlab.training.step import evaluate

    n = options["batch"]
    x = (
        torch.randn(n, 64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3
        + 1
    )
    biased = x.var(0, unbiased=False)
    stored = []
    for layer in (
        torch.nn.BatchNorm1d(64, momentum=1.0),
        make_norm("batchnorm", 64, "NC", momentum=1.0),
    ):
        layer.double()(x)
        stored.append(layer.running_var / biased)
    metrics = {
        "ratio_off_1": max(float((ratio - 1).abs().max()) for ratio in stored),
        "ratio_off_unbiased": max(float((ratio * (n - 1) / n - 1).abs().max()) for ratio in stored),
    }
    trained = train_network((*options["overrides"], "norm=batchnorm", f"data.batch_size={n}"), seed)
    for name, factor in (("unbiased", 1.0), ("biased", (n - 1) / n)):
        for layer in batch_norms(trained.model):
            layer.running_var.mul_(factor)
        metrics[f"accuracy_{name}"] = evaluate(trained.model, trained.data.eval_batches("test"))[1]
    return {**metrics, "data": trained.source}


def same_accuracy(arm):
    return Part(
        f"accuracy, {arm}",
        f"either buffer gives the same accuracy with {arm}",
        "accuracy(unbiased) - accuracy(biased) within 0.5 points either way (TOST)",
        lambda evidence: equivalent_within(
            100
            * (evidence.values(arm, "accuracy_unbiased") - evidence.values(arm, "accuracy_biased")),
            0.5,
        ),
    )


CLAIM = Claim(
    slug="running-var-bias",
    statement="Storing the batch's biased variance in the running buffer is what BatchNorm does.",
    documents=("Batch Normalization, a walkthrough",),
    source="Ioffe & Szegedy 2015, section 3.1: 'We use the unbiased variance estimate', m / (m - 1) times the batch's.",
    prediction="refuted for the buffer; the accuracy differs at batches of 2 and 4 only",
    arms=tuple(Arm(name, options={"batch": n}) for name, n in zip(ARMS, SIZES, strict=True)),
    protocols=as_options(image_protocols("model=mlp", "model.depth=2", "optim.lr=0.01", epochs=3)),
    trial=trial,
    parts=(
        Part(
            "buffer",
            "torch's running variance is the batch's biased one",
            "ratio of both off 1 by 1e-6 at most in every draw (fp64)",
            lambda evidence: exact_within(evidence.table(ARMS, "ratio_off_1").ravel(), 1e-6),
        ),
        *(same_accuracy(arm) for arm in ARMS),
    ),
    caveats=("In a convolutional network N counts the pixels, too, and N / (N - 1) is near 1.",),
    would_change="A framework whose BatchNorm stores the biased variance: the code does what that one does.",
)
