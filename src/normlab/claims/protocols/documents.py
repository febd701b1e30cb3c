"""Claims about padded documents: protocols, the arms that several share, and what padding costs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from normlab.claims.claim import Arm, Protocol
from normlab.claims.evidence import Evidence
from normlab.claims.looks import Looks
from normlab.claims.metrics import Better
from normlab.claims.metrics import metric as metric_of
from normlab.claims.protocols.contrasts import contrast, weighted
from normlab.claims.quantity import Quantity
from normlab.claims.stats import Sample

RATES = (0.003, 0.01, 0.03)  # AdamW; extended where the best lies at the edge
CONTEXTS = {0: 16, 50: 32, 75: 64, 90: 160}  # % of padding -> tokens that 16 words are padded to
# Three words in ten are hidden, for more targets a step; such short runs can learn 300 words.
MASKED = ("data.task=masked", "data.mask_share=0.3", "data.vocabulary=300")
CLASSIFY = ("data.task=classify", "data.vocabulary=2000")


def document_protocols(*overrides: str, seconds: float = 4.0) -> dict[str, Protocol]:
    """Of encoders of documents, by profile.

    smoke, quick and full (AG News, width 32, 300 and 2,000 steps), both with embedded data (lines
    of pydoc), and gpu (width 128, 2,000 steps). Xavier's initial scale, with which word embeddings
    learn several times faster than with N(0, 0.02²). Arms say how documents are padded and what is
    asked of them. `seconds`: a trial's of quick on one idle core.
    """

    def net(data: str, *, width: int, heads: int, depth: int, steps: int) -> tuple[str, ...]:
        return (
            "model=transformer",
            f"data={data}",
            "data.batch_size=32",
            "optim.weight_decay=0",
            "model.init=xavier",
            f"model.width={width}",
            f"model.num_heads={heads}",
            f"model.depth={depth}",
            f"trainer.max_steps={steps}",
            *overrides,
        )

    small = {"width": 32, "heads": 2, "depth": 2}
    quick = Protocol(
        (*net("ag_news", **small, steps=300), "data.eval_subset=600"),
        learning_rates=RATES,
        seconds_per_trial=seconds,
    )
    full = replace(
        quick,
        overrides=(*net("ag_news", **small, steps=2000), "data.eval_subset=2000"),
        timeout_s=3600.0,
        seconds_per_trial=seconds * 2000 / 300,
    )
    smoke = net("pydoc_lines", width=8, heads=2, depth=1, steps=2)
    gpu = net("ag_news", width=128, heads=4, depth=4, steps=2000)
    return {
        "smoke": Protocol(
            (*smoke, "data.subset=64", "data.eval_subset=16"),
            looks=Looks((1,)),
            seconds_per_trial=0.3,
        ),
        "quick": quick,
        "quick-embedded": replace(
            quick,
            overrides=net("pydoc_lines", **small, steps=300),
            seconds_per_trial=seconds / 1.5,
        ),
        "full": full,
        "full-embedded": replace(
            full, overrides=net("pydoc_lines", **small, steps=2000), seconds_per_trial=seconds * 4
        ),
        "gpu": replace(quick, overrides=(*gpu, "trainer=gpu"), seconds_per_trial=20.0),
    }


def cropped(share: int) -> tuple[str, ...]:
    """Every document is 16 words and `share` % of padding in training.

    Positions go to 160 in all of them, so that the same seed has the same initial weights whatever
    the padding.
    """
    return ("data.crop=16", f"data.context={CONTEXTS[share]}", "data.eval_context=160")


def batchnorm(n: int) -> tuple[str, ...]:
    """BatchNorm over n documents of the batch of 32."""
    # 32 is the whole batch: with the option its trials would be others, by their keys.
    return ("norm=batchnorm",) if n == 32 else ("norm=batchnorm", f"norm.ghost_batch={n}")


LAYERNORM = Arm("layernorm", ("norm=layernorm", *MASKED, *cropped(0)), at={"norm": "layernorm"})


def padded_arm(n: int, how: str, share: int) -> Arm:
    """Masked words, BatchNorm over n documents, padding `counted` or `zeroed`.

    Without padding it is BatchNorm that leaves padding out: at any share of padding the same to
    rounding, which tests/claims/test_padding.py shows for this and for LayerNorm.
    """
    overrides = (*batchnorm(n), *MASKED, *cropped(share), f"model.padding={how}")
    # With batch statistics, too, where a claim asks for them: its test batches have 90 % padding.
    evaluations = ("statistics",) if n == 32 and share in (0, 90) else ()
    return Arm(
        f"batchnorm {n}, {how} {share}",
        overrides,
        evaluations=evaluations,
        at={"norm": f"batchnorm {n}", "padding": how, "padding_share": share},
    )


def own_lengths_arm(norm: str, padding: str) -> Arm:
    """Masked words of documents as long as they are, padded to 96.

    In batches of 16, whose share of padding varies.
    """
    name = norm if norm == "layernorm" else f"{norm} {padding}"
    overrides = (
        f"norm={norm}",
        *MASKED,
        "data.context=96",
        "data.batch_size=16",
        f"model.padding={padding}",
    )
    return Arm(f"own lengths, {name}", overrides)


def padding_cost(arms: Sequence[str], masked: str, metric: str = "test_loss") -> Quantity:
    """What padding costs BatchNorm: the mean over `arms`, whose norms see it, less `masked`."""
    sign, mean = _sign(metric), _mean(arms)
    weights = {**dict.fromkeys(arms, sign / len(arms)), masked: -sign}
    words = f"{metric_of(metric).words}: what padding{mean} costs BatchNorm against none"
    return contrast(weighted(metric, weights), words)


def padding_beyond_half(
    arms: Sequence[str], masked: str, layernorm: str, metric: str = "test_loss"
) -> Quantity:
    """The smaller of cost - gap / 2, by how much what padding costs is more than half of what
    BatchNorm lacks, and of the gap: without a gap nothing is the reason of it.

    With loss(arms) the mean over `arms`: cost = loss(arms) - loss(masked), gap = loss(arms) -
    loss(layernorm), so that cost - gap / 2 = loss(arms) / 2 + loss(layernorm) / 2 - loss(masked).
    """
    sign, mean = _sign(metric), _mean(arms)
    half, share = sign / 2, 1 / len(arms)
    more = {**dict.fromkeys(arms, half * share), layernorm: half, masked: -sign}
    lacks = {**dict.fromkeys(arms, sign * share), layernorm: -sign}
    words = (
        f"{metric_of(metric).words}: the smaller of cost of padding{mean} - half of what BatchNorm "
        "with it lacks to LayerNorm, and of what it lacks"
    )
    beyond, gap = (contrast(weighted(metric, weights), words) for weights in (more, lacks))

    def read(evidence: Evidence) -> Sample:
        both = beyond.read(evidence), gap.read(evidence)
        return min(both, key=lambda terms: sum(float(np.mean(term)) for term in terms))

    return Quantity(words, beyond.unit, read, beyond.arms)


def _sign(metric: str) -> float:
    """1 for a loss, -1 for an accuracy, which counts in what is lost."""
    return -1.0 if metric_of(metric).better is Better.higher else 1.0


def _mean(arms: Sequence[str]) -> str:
    return f" (mean of {'; '.join(arms)})" if len(arms) > 1 else ""
