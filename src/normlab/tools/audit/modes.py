"""Failure modes of train and eval mode: statistics of the batch where fixed ones are meant."""

from collections.abc import Iterator

from torch import nn

from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.norm_layers import NormLayer

_FLIPS = Evidence("missing-eval-bug", "flips")


def eval_undone(norms: list[NormLayer]) -> Finding:
    """Of norms that were in eval mode in an earlier training step and are not any more."""
    reason = (
        "in an earlier step of training these layers were in eval mode, and now they are in train "
        "mode, with what they had of requires_grad: train() on what holds them undoes their eval()"
    )
    return Finding("eval-undone", tuple(norm.name for norm in norms), reason, (_FLIPS,))


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
    # In train mode at an evaluation the whole network is told of already.
    if subject.evaluated:
        return
    frozen = frozen_norms(subject.model, [norm for norm in subject.live if norm.kept_statistics])
    trained = any(parameter.requires_grad for parameter in subject.model.parameters())
    if frozen:
        whose = "for gain and shift" if trained else "for all that the network has"
        reason = (
            f"requires_grad is False {whose}, but the layer is in training mode: it normalizes "
            "with the batch's statistics and its running ones move; eval() on the layer stops "
            "both, until train() is called on what holds it"
        )
        names = tuple(norm.name for norm in frozen)
        yield Finding("frozen-with-moving-statistics", names, reason, (_FLIPS,))


def frozen_norms(model: nn.Module, norms: list[NormLayer]) -> list[NormLayer]:
    """Those of `norms` that nothing trains.

    One without gain and shift counts by the parameters of what holds it: by the smallest module
    around it that has any.
    """
    return [norm for norm in norms if _is_frozen(model, norm.names[0])]


def _is_frozen(model: nn.Module, path: str) -> bool:
    while True:
        parameters = list(model.get_submodule(path).parameters())
        if parameters or not path:
            return bool(parameters) and not any(one.requires_grad for one in parameters)
        path = path.rpartition(".")[0]
