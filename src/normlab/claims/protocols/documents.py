"""Claims about padded documents: their protocols, the arms that several share, and the rule of what padding costs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from normlab.claims.claim import Arm, Protocol
from normlab.claims.evidence import Evidence
from normlab.claims.rules import Finding, greater_by
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED

RATES = (0.003, 0.01, 0.03)  # AdamW; extended where the best lies at the edge
CONTEXTS = {0: 16, 50: 32, 75: 64, 90: 160}  # % of padding -> tokens that 16 words are padded to
# Three words in ten are hidden, for more targets a step; 300 words are what such short runs can learn
MASKED = ("data.task=masked", "data.mask_share=0.3", "data.vocabulary=300")
CLASSIFY = ("data.task=classify", "data.vocabulary=2000")


def document_protocols(*overrides: str, seconds: float = 4.0) -> dict[str, Protocol]:
    """smoke, cpu (AG News, width 32, 300 steps), cpu-embedded (lines of pydoc) and gpu (width 128, 2000 steps).

    Xavier's initial scale, with which word embeddings learn several times faster than with N(0, 0.02²). Arms say how
    documents are padded and what is asked of them. `seconds`: a trial's on one idle core.
    """

    def net(data: str, width: int, heads: int, depth: int, steps: int) -> tuple[str, ...]:
        size = (
            f"model.width={width}",
            f"model.num_heads={heads}",
            f"model.depth={depth}",
            f"trainer.max_steps={steps}",
        )
        given = (f"data={data}", "data.batch_size=32", "optim.weight_decay=0", "model.init=xavier")
        return ("model=transformer", *given, *size, *overrides)

    cpu = Protocol(
        (*net("ag_news", 32, 2, 2, 300), "data.eval_subset=600"),
        seeds=5,
        learning_rates=RATES,
        tuning_seeds=1,
        seconds_per_trial=seconds,
    )
    smoke = (*net("pydoc_lines", 8, 2, 1, 2), "data.subset=64", "data.eval_subset=16")
    return {
        "smoke": Protocol(smoke, seeds=1, seconds_per_trial=0.3),
        "cpu": cpu,
        "cpu-embedded": replace(
            cpu, overrides=net("pydoc_lines", 32, 2, 2, 300), seconds_per_trial=seconds / 1.5
        ),
        "gpu": replace(
            cpu, overrides=(*net("ag_news", 128, 4, 4, 2000), "trainer=gpu"), seconds_per_trial=20.0
        ),
    }


def cropped(share: int) -> tuple[str, ...]:
    """Every document is 16 words and `share` % of padding in training.

    Positions go to 160 in all of them, so that the same seed has the same initial weights whatever the padding.
    """
    return ("data.crop=16", f"data.context={CONTEXTS[share]}", "data.eval_context=160")


def batchnorm(n: int) -> tuple[str, ...]:
    """BatchNorm over n documents of the batch of 32."""
    return ("norm=batchnorm",) if n == 32 else ("norm=batchnorm", f"norm.ghost_batch={n}")


LAYERNORM = Arm("layernorm", ("norm=layernorm", *MASKED, *cropped(0)))


def padded_arm(n: int, how: str, share: int) -> Arm:
    """Masked words, BatchNorm over n documents, padding `counted` or `zeroed`.

    Without padding it is BatchNorm that leaves padding out: at any share of padding the same to rounding, which
    tests/claims/test_padding.py shows for this and for LayerNorm.
    """
    overrides = (*batchnorm(n), *MASKED, *cropped(share), f"model.padding={how}")
    # With batch statistics, too, where a claim asks for them: in evaluation the padding is always 90 %
    evaluations = ("statistics",) if n == 32 and share in (0, 90) else ()
    return Arm(f"batchnorm {n}, {how} {share}", overrides, evaluations=evaluations)


def own_lengths_arm(norm: str, padding: str) -> Arm:
    """Masked words of documents as long as they are, padded to 96: batches of 16, whose share of padding varies."""
    name = norm if norm == "layernorm" else f"{norm} {padding}"
    overrides = (
        f"norm={norm}",
        *MASKED,
        "data.context=96",
        "data.batch_size=16",
        f"model.padding={padding}",
    )
    return Arm(f"own lengths, {name}", overrides)


def main_reason(
    arms: Sequence[str],
    masked: str,
    layernorm: str,
    margin: float = 0.02,
    metric: str = "test_loss",
) -> Callable[[Evidence], Finding]:
    """Whether padding is most of what BatchNorm lacks to LayerNorm, by the mean of `arms`, which norms show padding.

    cost = loss(arms) - loss(masked), gap = loss(arms) - loss(layernorm); accuracies count in points, downwards.
    Where D(margin) of the gap refutes it or is inconclusive, so is this. Else supported if cost - gap / 2 lies above 0
    (95 % interval), partly if cost - gap / 5 does, refuted if that lies below 0.
    """
    scale, unit = (1, "nats") if metric == "test_loss" else (-100, "points")

    def decide(evidence: Evidence) -> Finding:
        mean = scale * evidence.table(arms, metric).mean(axis=1)
        gap, cost = (mean - scale * evidence.values(arm, metric) for arm in (layernorm, masked))
        found = greater_by(gap, margin, unit)
        found = replace(found, text=f"cost {cost.mean():.3g}, gap {found.text}")
        if found.verdict not in (SUPPORTED, PARTLY):
            return found
        half, fifth = (greater_by(cost - share * gap, 0.0, unit) for share in (0.5, 0.2))
        if SUPPORTED in (half.verdict, fifth.verdict):
            verdict, share = (SUPPORTED, half) if half.verdict == SUPPORTED else (PARTLY, fifth)
            return replace(found, verdict=verdict, p=max(found.p or 0.0, share.p or 0.0))
        return replace(found, verdict=REFUTED if fifth.verdict == REFUTED else INCONCLUSIVE)

    return decide
