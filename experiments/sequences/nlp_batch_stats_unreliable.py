"""Batch statistics of text are not reliable: BatchNorm's lie far from its running statistics there.

Said by: "BatchNorm vs LayerNorm" and "Normalization Deep-Dive".
Primary source: Shen et al. 2020 (PowerNorm), figures of the distance between batch and running
statistics in a transformer and in a ResNet.
Measured: an encoder that finds hidden words of AG News (16 words, no padding) and a CNN on digits,
both with BatchNorm, batches of 32, and 300 steps. Median over channels, layers and three moments of
|batch mean - running mean| / deviation and of |batch variance / running variance - 1|. With one
value of each sample, at a random position, both have 32 independent values to a statistic, so that
neither is better off by what its positions share; with all values as they come.
Cost: normlab run nlp-batch-stats-unreliable --profile cpu    20 seconds on 2 cores
"""

from math import inf

import numpy as np

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
    def read(evidence: Evidence) -> Values:
        ratio = evidence.values("text", metric) / evidence.values("images", metric)
        # `Between` decides about logarithms of ratios.
        return np.asarray(np.log(ratio))

    return Part(
        name,
        f"{statistic} is three times as far from the running one on text as on images",
        Quantity(f"{statistic}: how far from the running one, text over images", "times", read),
        Between(3, inf, partly=(1.5, inf)),
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
    parts=(
        part("mean_one", "mean, one value", "with one value of each sample the mean"),
        part("var_one", "variance, one value", "with one value of each sample the variance"),
        part(
            "var_one_99",
            "tails",
            "with one value of each sample the 99th percentile of the variance",
        ),
        part("mean_all", "mean, all", "with all values the mean"),
        part("var_all", "variance, all", "with all values the variance"),
    ),
    caveats=(
        "A small encoder and a small CNN on digits; the paper has a translation model and a ResNet "
        "on CIFAR-10.",
        "Both at one learning rate; medians over the first, second and last third of the steps "
        "together.",
    ),
    would_change="Distances on text that grow with the length of training.",
)
