"""Batch statistics of text are not reliable: BatchNorm's lie far from its running statistics there.

Said by: "BatchNorm vs LayerNorm" and "Normalization Deep-Dive".
Primary source: Shen et al. 2020 (PowerNorm), figures of the distance between batch and running
statistics in a transformer and in a ResNet.
Measured: an encoder that finds hidden words of AG News (16 words, no padding) and a CNN on digits,
both with BatchNorm, batches of 32, and equally many steps. Median over channels, layers and three
moments of |batch mean - running mean| / deviation and of |batch variance / running variance - 1|.
With one value of each sample, at a random position, both have 32 independent values to a statistic,
so that neither is better off by what its positions share; with all values as they come.
Cost: normlab run nlp-batch-stats-unreliable --profile full    10 trials to its first look, 4
minutes of one core
"""

from math import inf

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols import documents
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between
from normlab.records.measurement import Measurement

TEXT = ("norm=batchnorm", *documents.MASKED, *documents.cropped(0), "optim.lr=0.01")
CNN = (
    "model=plaincnn",
    "model.width=16",
    "data=digits",
    "data.batch_size=32",
    "norm=batchnorm",
    "optim=sgd",
)


def trial(options: Options, seed: int) -> Measurement:
    """Distances of batch statistics from running ones, see normlab.measure.fluctuation."""
    from normlab.measure.fluctuation import fluctuations

    # The protocol is the encoder's: the CNN takes its steps alone.
    budget = tuple(override for override in options["overrides"] if override.startswith("trainer."))
    text = options["net"] == "text"
    net = (*options["overrides"], *TEXT) if text else (*CNN, *budget)
    metrics, data = fluctuations(net, seed)
    return Measurement(metrics, data)


def part(metric: str, name: str, statistic: str) -> Part:
    def read(evidence: Evidence) -> tuple[Values, Values]:
        # `Between` decides about logarithms of ratios; both networks are independent.
        text, images = (np.log(evidence.values(arm, metric)) for arm in ("text", "images"))
        return text, -images

    return Part(
        name,
        f"{statistic} is at least twice as far from the running one on text as on images",
        Quantity(
            f"{statistic}: how far from the running one, text over images",
            "times",
            read,
            ("text", "images"),
        ),
        Between(2, inf),
        expected=1.4,
        noise=0.15,
    )


CLAIM = Claim(
    slug="nlp-batch-stats-unreliable",
    statement="Batch statistics are not reliable for text.",
    documents=("BatchNorm vs LayerNorm", "Normalization Deep-Dive"),
    source="Shen et al. 2020: batch statistics of a transformer fluctuate far more than those of a "
    "ResNet.",
    prediction="partly supported: rare words give heavy tails; most of the rest is how many values "
    "are independent",
    arms=(Arm("text", options={"net": "text"}), Arm("images", options={"net": "images"})),
    protocols=as_options(documents.document_protocols(seconds=4.0)),
    trial=trial,
    clauses=(
        part("mean_all", "mean", "with all values, as BatchNorm has them, the batch mean"),
        part("var_all", "variance", "with all values, as BatchNorm has them, the batch variance"),
    ),
    scope=(
        part("mean_one", "mean, one value", "with one value of each sample the mean"),
        part("var_one", "variance, one value", "with one value of each sample the variance"),
        part(
            "var_one_99",
            "tails",
            "with one value of each sample the 99th percentile of the variance",
        ),
    ),
    answers=Answers(
        supported="Batch statistics of text lie farther from the running ones than those of "
        "images: means {mean.effect:.1f} times ({mean.low:.1f} to {mean.high:.1f}), variances "
        "{variance.effect:.1f} times; with as many independent values, "
        "{mean, one value.effect:.2f} and {variance, one value.effect:.2f}.",
        refuted="Batch statistics of text lie farther from the running ones than those of images, "
        "and not twice as far: means {mean.effect:.2f} times ({mean.low:.2f} to {mean.high:.2f}), "
        "variances {variance.effect:.2f} times; with as many independent values, "
        "{mean, one value.effect:.2f} and {variance, one value.effect:.2f}.",
        partly="One of both: batch means of text are {mean.effect:.2f} times as far from the "
        "running ones as those of images ({mean.low:.2f} to {mean.high:.2f}), variances "
        "{variance.effect:.2f} times ({variance.low:.2f} to {variance.high:.2f}); with as many "
        "independent values, {mean, one value.effect:.2f} and {variance, one value.effect:.2f}.",
        inconclusive="Batch means of text are {mean.effect:.2f} times as far from the running "
        "ones as those of images ({mean.low:.2f} to {mean.high:.2f}), variances "
        "{variance.effect:.2f} times ({variance.low:.2f} to {variance.high:.2f}): whether both "
        "twice is open; with as many independent values, {mean, one value.effect:.2f} and "
        "{variance, one value.effect:.2f}.",
    ),
    caveats=(
        "A small encoder and a small CNN on digits; the paper has a translation model and a ResNet "
        "on CIFAR-10.",
        "Both at one learning rate; medians over the first, second and last third of the steps "
        "together.",
    ),
    would_change="Distances on text that grow with the length of training.",
    metrics={
        "mean_all": "|batch mean - running mean|, median, in deviations",
        "var_all": "|batch variance over running variance - 1|, median",
        "mean_one": "|batch mean - running mean|, one value a sample, median, in deviations",
        "var_one": "|batch over running variance - 1|, one value a sample, median",
        "var_one_99": "|batch over running variance - 1|, one value a sample, 99th percentile",
    },
)
