"""BatchNorm fails at batch 1, on variable lengths and in distributed training; LayerNorm and RMSNorm never do.

Said by: "Normalization Deep-Dive". Primary sources: Shen et al. 2020 for text; against the distributed clause Goyal et
al. 2017, who train ImageNet in batches of 8,192 with the statistics of each GPU's own 32.
Here the two clauses that sequences can decide, by an encoder that finds hidden words of AG News: BatchNorm over single
documents, and over batches of 16 documents of their own lengths, padding counted. Each arm at its own rate, evaluated
with running statistics. What data parallel training does to statistics is a claim of its own: ddp-bn-local-stats.

    normlab run bn-breaks-distributed-varlen --profile cpu        half a minute after padding-dominant-reason
"""

from normlab.claims import padding
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.rules import greater_by


def loses(name, layernorm):
    """Nats of test loss that BatchNorm has above LayerNorm, per seed."""
    return lambda evidence: greater_by(evidence.difference(name, layernorm, "test_loss"), 0.05, "nats")


CLAIM = Claim(
    slug="bn-breaks-distributed-varlen",
    statement="BatchNorm fails on single samples and on sequences of varying length, where LayerNorm does not.",
    documents=("Normalization Deep-Dive",),
    source="Shen et al. 2020: batch statistics of text fluctuate; Goyal et al. 2017 use each GPU's own.",
    prediction="partly supported: single samples are a failure, varying lengths are not",
    arms=(
        padding.LAYERNORM,
        Arm("batchnorm 1, counted 0", (*padding.batchnorm(1), *padding.MASKED, *padding.cropped(0))),
        padding.own_lengths_arm("layernorm", "counted"),
        *(padding.own_lengths_arm("batchnorm", how) for how in ("counted", "masked")),
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
    ),
    caveats=(
        "The clause on distributed training is not decided here.",
        "Short runs of a small encoder; a document gives 16 values to a statistic, a single token one.",
        "That LayerNorm depends on neither batch nor padding is exact: ln-batch-independent.",
    ),
    would_change="A network in which documents of varying lengths cost BatchNorm what they do not cost LayerNorm.",
)
