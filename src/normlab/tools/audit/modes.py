"""Failure modes of train and eval mode: statistics of the batch where fixed ones are meant."""

from collections.abc import Iterator

from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.norm_layers import NormLayer

_FLIPS = Evidence("missing-eval-bug", "flips")


def batch_statistics_at_evaluation(subject: Subject) -> Iterator[Finding]:
    """A network in eval mode, or evaluated, some of whose batch norms still look at the batch."""
    if subject.model.training and not subject.evaluated:
        return
    evidence = _FLIPS, Evidence("missing-eval-bug", "accuracy")
    training = tuple(norm.name for norm in subject.live)
    if training:
        state = "model.training is False, and that of these layers True"
        if subject.model.training:
            state = "model.training is True at an evaluation, and so is that of these layers"
        reason = f"{state}: they normalize with the batch's statistics"
        yield Finding("train-mode-at-evaluation", training, reason, evidence)
    without = tuple(norm.name for norm in subject.batch_norms if _needs_a_batch(norm))
    if without:
        reason = (
            "in eval mode, too, these layers normalize with the batch's statistics: "
            "they keep or use no others"
        )
        yield Finding("train-mode-at-evaluation", without, reason, evidence)


def _needs_a_batch(norm: NormLayer) -> bool:
    """Whether a batch norm in eval mode has no statistics but those of the batch."""
    if norm.is_live:
        return False
    return not norm.kept_statistics or getattr(norm.module, "statistics", "running") == "batch"


def frozen_and_live(subject: Subject) -> Iterator[Finding]:
    """Batch norms that nothing trains, and whose statistics move all the same."""
    frozen = []
    for norm in subject.live:
        own = list(norm.module.parameters(recurse=False))
        learns = any(parameter.requires_grad for parameter in own)
        # Without parameters nothing says that anybody meant to freeze it.
        if own and not learns and norm.kept_statistics:
            frozen.append(norm.name)
    # A network of which nothing learns is used, not trained.
    trained = any(parameter.requires_grad for parameter in subject.model.parameters())
    if frozen and trained:
        reason = (
            "requires_grad is False for gain and shift, but the layer is in training mode: it "
            "normalizes with the batch's statistics and its running ones move; eval() on the layer "
            "stops both"
        )
        yield Finding("frozen-with-moving-statistics", tuple(frozen), reason, (_FLIPS,))
