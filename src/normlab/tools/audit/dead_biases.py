"""Biases that a batch norm behind them subtracts again."""

from collections import Counter
from collections.abc import Iterator

from torch import Tensor, nn

from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.shifts import Shifts
from normlab.tools.audit.subject import Subject
from normlab.tools.fold.batch_norms import Kept
from normlab.tools.fold.call_graph import is_layer
from normlab.tools.norm_layers import NormLayer

_OF_CONVOLUTIONS = tuple(
    Evidence("conv-bias-redundant", part) for part in ("gradient", "training", "evaluation")
)
# That their gradient is 0 is algebra, as it is for a convolution.
_OF_LINEAR = "what such a bias of a linear layer does"


def bias_before_batch_norm(subject: Subject) -> Iterator[Finding]:
    """Biases that reach batch norms alone, directly or through sums, pools and plain layers."""
    live = subject.live_batchnorm
    if not live:
        return
    subject.note_untraced("bias-before-batch-norm", live)
    by_path = {path: norm for norm in live for path in norm.names}
    shifts = Shifts(subject.graph, set(by_path))
    for path, bias in _biases(subject).items():
        try:
            call = subject.graph.only_call(path)
        except Kept:
            continue
        taken_back = shifts.taken_back_by(call)
        ends = [norm for norm in live if taken_back & set(norm.names)]
        layer = subject.model.get_submodule(path)
        if not ends or (isinstance(layer, nn.Linear) and not _over_features(subject, ends)):
            continue
        direct = {user.target for user in call.users} & set(by_path)
        through = "" if direct else ", through sums and the like"
        reason = (
            f"its bias of {len(bias)} values goes to {_names(ends)} alone{through}, "
            f"which subtract{'s' if len(ends) == 1 else ''} each channel's mean"
        )
        linear = isinstance(layer, nn.Linear)
        evidence = () if linear else _OF_CONVOLUTIONS
        undecided = _OF_LINEAR if linear else ""
        yield Finding("bias-before-batch-norm", (path,), reason, evidence, undecided)


def _biases(subject: Subject) -> dict[str, Tensor]:
    """What is trained, and added to each channel as a whole: by the path of its layer.

    Not the shifts of norms, though some are dead in the same way: those between the blocks of
    MobileNetV2, of which nobody would say that its builders forgot them.
    """
    # A parameter that several layers share has the gradients of all of them.
    owners = Counter(id(one) for _, one in subject.model.named_parameters(remove_duplicate=False))
    biases: dict[str, Tensor] = {}
    for path, module in subject.model.named_modules():
        bias = module.bias if is_layer(module) else None
        if isinstance(bias, nn.Parameter) and bias.requires_grad and owners[id(bias)] == 1:
            biases[path] = bias
    return biases


def _over_features(subject: Subject, norms: list[NormLayer]) -> bool:
    """Whether the channels of batch norms are a linear layer's features, as far as one can see."""
    for norm in norms:
        x = subject.inputs.get(norm.name)
        if x is not None and x.ndim != 2 and norm.channels == "first":
            return False
    return True


def _names(norms: list[NormLayer]) -> str:
    more = f" and {len(norms) - 2} more" if len(norms) > 2 else ""
    return ", ".join(norm.name for norm in norms[:2]) + more
