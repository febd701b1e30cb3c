"""BatchNorm fails at batch 1, on variable lengths and in distributed training; LayerNorm and RMSNorm never do.

Said by: "Normalization Deep-Dive". Primary sources: Shen et al. 2020 for text; against the distributed clause Goyal et
al. 2017, who train ImageNet in batches of 8,192 with the statistics of each GPU's own 32.
Here all three clauses, by an encoder that finds hidden words of AG News: BatchNorm over single
documents, and over batches of 16 documents of their own lengths, padding counted. Each arm at its own rate, evaluated
with running statistics. Version 2 adds the distributed clause, which waited for training in several processes: two
workers of 32 documents are ghost batches of 32 in one process, gradient for gradient (ddp-bn-local-stats).

    normlab run bn-breaks-distributed-varlen --profile cpu        1 minute on 2 cores after padding-dominant-reason
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols import documents as padding
from normlab.claims.rules import greater_by

LARGE = (*padding.MASKED, *padding.cropped(0), "data.batch_size=64")


def loses(name, baseline):
    """Nats of test loss that BatchNorm has above the baseline, per seed."""
    return lambda evidence: greater_by(
        evidence.difference(name, baseline, "test_loss"), 0.05, "nats"
    )


CLAIM = Claim(
    slug="bn-breaks-distributed-varlen",
    statement="BatchNorm fails on single samples, on sequences of varying length and in data-parallel training.",
    documents=("Normalization Deep-Dive",),
    source="Shen et al. 2020: batch statistics of text fluctuate; Goyal et al. 2017 use each GPU's own.",
    prediction="partly supported: single samples are a failure, varying lengths and data parallelism are not",
    arms=(
        padding.LAYERNORM,
        Arm(
            "batchnorm 1, counted 0", (*padding.batchnorm(1), *padding.MASKED, *padding.cropped(0))
        ),
        padding.own_lengths_arm("layernorm", "counted"),
        *(padding.own_lengths_arm("batchnorm", how) for how in ("counted", "masked")),
        Arm("batchnorm 64", ("norm=batchnorm", *LARGE)),
        Arm("batchnorm 2 x 32", ("norm=batchnorm", "norm.ghost_batch=32", *LARGE)),
    ),
    protocols=padding.document_protocols(),
    tuning_metric="val_loss",
    parts=(
        Part(
            "single samples",
            "over single documents of 16 words, BatchNorm's loss is 0.05 nats above LayerNorm's",
            "loss(BN over 1) - loss(LN): supported from 0.05 nats, refuted below 0.025",
            loses("batchnorm 1, counted 0", "layernorm"),
        ),
        Part(
            "varying lengths",
            "on documents of their own lengths, padding counted, BatchNorm's loss is 0.05 nats above LayerNorm's",
            "loss(BN) - loss(LN): supported from 0.05 nats, refuted below 0.025",
            loses("own lengths, batchnorm counted", "own lengths, layernorm"),
        ),
        Part(
            "data parallel",
            "over each of two workers' 32 documents, BatchNorm's loss is 0.05 nats above that over all 64",
            "loss(BN over 32) - loss(BN over 64): supported from 0.05 nats, refuted below 0.025",
            loses("batchnorm 2 x 32", "batchnorm 64"),
        ),
    ),
    caveats=(
        "Workers have random parts of the data; what skewed ones lose is part of ddp-bn-local-stats. Ghost batches "
        "keep the average of the workers' running statistics, DDP those of the first.",
        "Short runs of a small encoder; a document gives 16 values to a statistic, a single token one.",
        "That LayerNorm depends on neither batch nor padding is exact: ln-batch-independent.",
    ),
    would_change="A network in which varying lengths, or a worker's own 32 samples, cost BatchNorm 0.05 nats.",
    version=2,
)
