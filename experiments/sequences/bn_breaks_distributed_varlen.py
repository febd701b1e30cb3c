"""BatchNorm fails at batch 1, on variable lengths and in distributed training.

LayerNorm and RMSNorm never do.

Said by: "Normalization Deep-Dive".
Primary source: Shen et al. 2020 for text; against the distributed clause Goyal et al. 2017, who
train ImageNet in batches of 8,192 with the statistics of each GPU's own 32.
Measured: all three clauses, by the loss of an encoder that finds hidden words of AG News: BatchNorm
over single documents, and over batches of 16 documents of their own lengths, padding counted. Each
seed at its own rate, evaluated with running statistics. Two workers of 32 documents are ghost
batches of 32 in one process, gradient for gradient (ddp-bn-local-stats).
Cost: normlab run bn-breaks-distributed-varlen --profile full    105 trials to its first look, 47
minutes of one core; 60 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols import documents
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast

SINGLE = (*documents.batchnorm(1), *documents.MASKED, *documents.cropped(0))
# 64 documents: two workers of 32.
LARGE = (*documents.MASKED, *documents.cropped(0), "data.batch_size=64")


def loses(
    name: str,
    statement: str,
    words: str,
    arms: tuple[str, str],
    expected: float,
    noise: float,
    stands_for: str = "",
) -> Part:
    """Nats of test loss that BatchNorm, the first of `arms`, has above the second."""
    more = difference(*arms, "test_loss", words=f"test loss, {words}")
    return Part(name, statement, more, AtLeast(0.05), stands_for, expected, noise)


CLAIM = Claim(
    slug="bn-breaks-distributed-varlen",
    statement="BatchNorm fails on single samples, on sequences of varying length and in "
    "data-parallel training.",
    documents=("Normalization Deep-Dive",),
    source="Shen et al. 2020: batch statistics of text fluctuate; Goyal et al. 2017 use each GPU's "
    "own.",
    prediction="partly supported: single samples are a failure, varying lengths and data "
    "parallelism are not",
    arms=(
        documents.LAYERNORM,
        Arm("batchnorm 1, counted 0", SINGLE),
        documents.own_lengths_arm("layernorm", "counted"),
        *(documents.own_lengths_arm("batchnorm", how) for how in ("counted", "masked")),
        Arm("batchnorm 64", ("norm=batchnorm", *LARGE)),
        Arm("batchnorm 2 x 32", ("norm=batchnorm", "norm.ghost_batch=32", *LARGE)),
    ),
    protocols=documents.document_protocols(),
    tuning_metric="val_loss",
    clauses=(
        loses(
            "single samples",
            "over single documents of 16 words, BatchNorm's loss is 0.05 nats above LayerNorm's",
            "BatchNorm over single documents - LayerNorm",
            ("batchnorm 1, counted 0", "layernorm"),
            0.4,
            0.06,
        ),
        loses(
            "varying lengths",
            "on documents of their own lengths, padding counted, BatchNorm's loss is 0.05 nats "
            "above LayerNorm's",
            "BatchNorm over documents of their own lengths - LayerNorm over the same",
            ("own lengths, batchnorm counted", "own lengths, layernorm"),
            0.0,
            0.06,
        ),
        loses(
            "data parallel",
            "over each of two workers' 32 documents, BatchNorm's loss is 0.05 nats above that "
            "over all 64",
            "BatchNorm over each worker's 32 documents - over all 64",
            ("batchnorm 2 x 32", "batchnorm 64"),
            0.01,
            0.02,
            "many GPUs",
        ),
    ),
    scope=(
        Part(
            "masked",
            "on documents of their own lengths, padding left out, BatchNorm's loss is 0.05 nats "
            "above LayerNorm's",
            difference(
                "own lengths, batchnorm masked",
                "own lengths, layernorm",
                "test_loss",
                words="test loss, masked BatchNorm over documents of their own lengths - LayerNorm",
            ),
            AtLeast(0.05),
        ),
    ),
    answers=Answers(
        supported="BatchNorm's loss is higher by {single samples.effect:.2f} nats on single "
        "samples, {varying lengths.effect:.2f} on varying lengths and {data parallel.effect:.2f} "
        "in data-parallel training.",
        refuted="BatchNorm is shown to fail in none of the three: its loss changes by "
        "{single samples.effect:+.2f} nats on single samples, {varying lengths.effect:+.2f} on "
        "varying lengths and {data parallel.effect:+.2f} in data-parallel training.",
        partly="BatchNorm fails in some of the three: its loss changes by "
        "{single samples.effect:+.2f} nats ({single samples.low:.2f} to "
        "{single samples.high:.2f}) on single samples, {varying lengths.effect:+.2f} on varying "
        "lengths and {data parallel.effect:+.2f} in data-parallel training.",
        inconclusive="BatchNorm's loss changes by {single samples.effect:+.2f} nats on single "
        "samples, {varying lengths.effect:+.2f} on varying lengths and "
        "{data parallel.effect:+.2f} in data-parallel training: not all three are decided.",
    ),
    caveats=(
        "Workers have random parts of the data; what skewed ones lose is part of "
        "ddp-bn-local-stats. Ghost batches keep the average of the workers' running statistics, "
        "DDP those of the first.",
        "Short runs of a small encoder; a document gives 16 values to a statistic, a single token "
        "one.",
        "That LayerNorm depends on neither batch nor padding is exact: ln-batch-independent.",
    ),
    would_change="A network in which varying lengths, or a worker's own 32 samples, cost BatchNorm "
    "0.05 nats.",
)
