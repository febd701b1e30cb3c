"""Biases and shifts that a batch norm behind them subtracts again."""

from collections import Counter
from collections.abc import Iterator

from torch import Tensor, nn

from normlab.tools.audit.finding import Evidence, Finding
from normlab.tools.audit.shifts import Shifts
from normlab.tools.audit.subject import Subject
from normlab.tools.fold.batch_norms import Kept
from normlab.tools.fold.call_graph import is_layer
from normlab.tools.norm_layers import NormLayer, followers

_OF_CONVOLUTIONS = tuple(
    Evidence("conv-bias-redundant", part) for part in ("gradient", "training", "evaluation")
)
# That their gradient is 0 is algebra, as it is for a convolution.
_OF_OTHERS = "what such a parameter does that is no convolution's bias"


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
        what = "bias" if is_layer(layer) else "shift"
        direct = {user.target for user in call.users} & set(by_path)
        through = "" if direct else ", through sums and the like"
        reason = (
            f"its {what} of {len(bias)} values goes to {_names(ends)} alone{through}, "
            f"which subtract{'s' if len(ends) == 1 else ''} each channel's mean"
        )
        convolution = is_layer(layer) and not isinstance(layer, nn.Linear)
        evidence = _OF_CONVOLUTIONS if convolution else ()
        undecided = "" if convolution else _OF_OTHERS
        yield Finding("bias-before-batch-norm", (path,), reason, evidence, undecided)


def _biases(subject: Subject) -> dict[str, Tensor]:
    """What is trained, and added to each channel as a whole: by the path of its layer."""
    biases = {}
    for path, module in subject.model.named_modules():
        if is_layer(module):
            biases[path] = module.bias
    for norm in subject.norms:
        # What follows inside the layer, an activation of timm's, reads the shift.
        tail = any(type(one) is not nn.Identity for one in followers(norm.module).values())
        if norm.channels in ("first", "NCHW", "NC") and not tail:
            biases[norm.names[0]] = norm.bias
    # A parameter that several layers share has the gradients of all of them.
    owners = Counter(map(id, dict(subject.model.named_parameters(remove_duplicate=False)).values()))
    return {
        path: bias
        for path, bias in biases.items()
        if isinstance(bias, nn.Parameter) and bias.requires_grad and owners[id(bias)] == 1
    }


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
