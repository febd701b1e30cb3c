"""Failure modes of where a norm stands: on single values, or where it could fold."""

from collections.abc import Iterator

from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.inputs import single_values
from normlab.tools.audit.subject import Subject
from normlab.tools.fold.model import fold
from normlab.tools.norm_layers import FROZEN, NormLayer
from normlab.tools.replica import replica


def single_value_groups(subject: Subject) -> Iterator[Finding]:
    """Norms of one value each, which makes it 0 whatever it is. Needs a sample batch."""
    for norm in subject.norms:
        x = subject.inputs.get(norm.name)
        groups = 0 if x is None else single_values(norm, x)
        if x is not None and groups:
            shape = " x ".join(map(str, x.shape[1:]))
            reason = (
                f"its input is {shape} per sample, in {groups} groups: "
                "one value each, whose mean it is"
            )
            record = Evidence("gn-extremes", "one channel")
            yield Finding("single-value-groups", (norm.name,), reason, (record,))


def foldable(subject: Subject) -> Iterator[Finding]:
    """Batch norms that cost time at inference and need not."""
    fixed = any(_is_fixed(norm) for norm in subject.norms)
    if subject.model.training or subject.on_meta or not fixed:
        return
    folding = fold(replica(subject.model))
    kept = {fate.name for fate in folding.kept if "torch.fx" in fate.reason}
    subject.note_untraced("foldable", [norm for norm in subject.norms if norm.names[0] in kept])
    names = tuple(fate.name for fate in folding.folded)
    if names:
        reason = (
            "their statistics are fixed, and a layer beside each can take over scale and shift: "
            "normlab.fold(model)"
        )
        records = (Evidence("bn-fold-exact", "float32"), Evidence("bn-fold-latency"))
        yield Finding("foldable", names, reason, records)


def _is_fixed(norm: NormLayer) -> bool:
    """Whether it normalizes with statistics that no longer change."""
    return norm.kind == FROZEN or (norm.is_batch_norm and not norm.is_live)
