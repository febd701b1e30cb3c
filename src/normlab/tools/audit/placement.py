"""Failure modes of where a norm stands: behind a bias, on single values, or where it could fold."""

from collections.abc import Iterator

from torch.nn.modules.conv import _ConvNd

from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.inputs import single_values
from normlab.tools.audit.replica import replica
from normlab.tools.audit.subject import Subject
from normlab.tools.fold.batch_norms import Kept
from normlab.tools.fold.call_graph import CallGraph
from normlab.tools.fold.model import fold
from normlab.tools.norm_layers import FROZEN, NormLayer


def bias_before_batch_norm(subject: Subject) -> Iterator[Finding]:
    """A convolution's bias that the batch norm after it subtracts again."""
    if not subject.live_batchnorm:
        return
    # Tracing writes into the model that it traces.
    graph = CallGraph(replica(subject.model))
    for path, reason in graph.closed.items():
        # The path "" is the whole model, and every name begins with it.
        inside = f"{path}." if path else ""
        hidden = [norm.name for norm in subject.live_batchnorm if norm.names[0].startswith(inside)]
        if hidden:
            more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
            subject.notes.append(f"bias-before-batch-norm at {hidden[0]}{more}: {reason}")
    for norm in subject.live_batchnorm:
        try:
            before = graph.layer_before(graph.only_call(norm.names[0]))
        except Kept:
            continue
        layer = subject.model.get_submodule(before)
        if isinstance(layer, _ConvNd) and layer.bias is not None and layer.bias.requires_grad:
            reason = (
                f"its bias of {len(layer.bias)} values goes to {norm.name} alone, "
                "which subtracts each channel's mean"
            )
            parts = ("gradient", "training", "evaluation")
            records = tuple(Evidence("conv-bias-redundant", part) for part in parts)
            yield Finding("bias-before-batch-norm", (before,), reason, records)


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
    names = tuple(fate.name for fate in fold(replica(subject.model)).folded)
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
