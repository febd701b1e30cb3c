"""Dropout in front of batch norm: its variance is there in training, and not at evaluation.

Source: Li et al. 2018, Understanding the Disharmony between Dropout and Batch Normalization by
Variance Shift (1801.05134).
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from normlab.tools.audit.finding import Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.fold.batch_norms import Kept
from normlab.tools.forward_pass import by_position, call
from normlab.tools.norm_layers import NormLayer
from normlab.tools.replica import quiet

# Times the variance without dropout: below, it is no more than a small p at a distance gives.
SHIFT = 1.05
# Alpha dropout is not among them: it keeps mean and variance.
_FUNCTIONS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d}
_MODULES = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_NORMS = {F.layer_norm, F.group_norm, F.instance_norm, F.batch_norm, F.rms_norm}


def dropout_before_batch_norm(subject: Subject) -> Iterator[Finding]:
    """Batch norms that dropout reaches with no other norm between.

    With a sample batch by what it does to the variance of their inputs; without one by the calls
    that torch.fx sees.
    """
    if not subject.live_batchnorm or subject.evaluated:
        return
    shifted = _measured(subject)
    if shifted is not None:
        large = {name: ratio for name, ratio in shifted.items() if ratio > SHIFT}
        names = tuple(large)
        reason = f"{_up_to(list(large.values()))} that without dropout, on the sample batch"
    else:
        before = {norm.name: _dropouts_before(subject, norm) for norm in subject.live_batchnorm}
        names = tuple(name for name, found in before.items() if found)
        reason = f"larger than without {_some([one for found in before.values() for one in found])}"
        subject.note_untraced("dropout-before-batch-norm", subject.live_batchnorm)
    if names:
        reason = (
            f"in training the variance of their input is {reason}; at evaluation, where nothing is "
            "dropped, they divide by the deviations of training"
        )
        yield Finding("dropout-before-batch-norm", names, reason, undecided="what that costs")


def _up_to(ratios: list[float]) -> str:
    most = max(ratios, default=0.0)
    return f"{'up to ' if len(ratios) > 1 else ''}{most:.3g} times"


def _some(dropouts: list[str]) -> str:
    distinct = list(dict.fromkeys(dropouts))
    more = f" and {len(distinct) - 2} more" if len(distinct) > 2 else ""
    return ", ".join(distinct[:2]) + more


def _measured(subject: Subject) -> dict[str, float] | None:
    """By norm, the variance of its input with dropout over that without, the mean over channels.

    None without a sample batch, or where the model does not take it in train mode.
    """
    if subject.sample_batch is None or subject.synchronizes:
        return None
    outputs: dict[str, list[Any]] = {}
    passes = []
    for off in (True, False):
        # A fresh copy each, from the same random state: all but the dropout is the same.
        model = subject.training_copy()
        variances = _variances(model, subject, outputs, first=off)
        dropout = _Dropout(off)
        try:
            with quiet(model), dropout:
                call(model, subject.sample_batch)
        except Exception:  # whatever somebody else's network raises
            return None
        if not dropout.active:
            return {}
        passes.append(variances)
    without, with_dropout = passes
    ratios = {}
    for name in without:
        varying = without[name] > 0
        if name in with_dropout and bool(varying.any()):
            ratios[name] = float((with_dropout[name][varying] / without[name][varying]).mean())
    return ratios


def _variances(
    model: nn.Module, subject: Subject, outputs: dict[str, list[Any]], *, first: bool
) -> dict[str, Tensor]:
    """Of the first input of each live batch norm, (C,), once `model` has been called.

    Norms give in a second pass what they gave in the first, which `outputs` holds: so a batch norm
    sees the dropouts since the norm before it, and no others.
    """
    variances: dict[str, Tensor] = {}
    live = {norm.name for norm in subject.live_batchnorm}

    def hook_of(norm: NormLayer) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, keywords: Any, output: Any) -> Any:
            x = next(iter(by_position(module, args, keywords)[0]), None)
            if norm.name in live and isinstance(x, Tensor) and norm.name not in variances:
                axis = x.ndim - 1 if norm.channels == "NTC" else 1
                values = x.double().movedim(axis, 0).flatten(1)
                variances[norm.name] = values.var(1, correction=0)
            if first:
                # A copy, since an activation in place may write into it.
                copied = output.clone() if isinstance(output, Tensor) else output
                outputs.setdefault(norm.name, []).append(copied)
                return output
            return outputs[norm.name].pop(0)

        return hook

    for norm in [*subject.norms, *subject.unread]:
        layer = model.get_submodule(norm.names[0])
        layer.register_forward_hook(hook_of(norm), with_kwargs=True)
    return variances


class _Dropout(TorchFunctionMode):
    """Notes whether any dropout is active, and gives what it was given if it is `off`.

    The random numbers are drawn all the same, so that those of others stay what they are.
    """

    def __init__(self, off: bool) -> None:
        super().__init__()
        self.off = off
        self.active = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        if func not in _FUNCTIONS or not _drops(func, args, keywords):
            return func(*args, **keywords)
        self.active = True
        if not self.off:
            return func(*args, **keywords)
        x = args[0] if args else keywords["input"]
        kept = x.clone()  # dropout in place would take it
        func(*args, **keywords)
        return kept


def _drops(function: Any, args: Any, keywords: Any) -> bool:
    """Whether a call of one of _FUNCTIONS drops anything."""
    call_of = inspect.signature(function).bind(*args, **keywords)
    call_of.apply_defaults()
    return bool(call_of.arguments["training"] and call_of.arguments["p"])


def _dropouts_before(subject: Subject, norm: NormLayer) -> list[str]:
    """The dropouts between a batch norm and the norms before it."""
    graph = subject.graph
    inside = tuple(path for one in [*subject.norms, *subject.unread] for path in one.names)
    try:
        waiting = list(graph.only_call(norm.names[0]).all_input_nodes)
    except Kept:
        return []
    found, seen = [], set(waiting)
    while waiting:
        node = waiting.pop()
        if _of_a_norm(node, inside):
            continue
        module = graph.modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, _MODULES) and module.training and module.p:
            found.append(f"the dropout {node.target} (p = {module.p:g})")
        elif node.target in _FUNCTIONS and _drops(node.target, node.args, node.kwargs):
            found.append("a dropout")
        new = [source for source in node.all_input_nodes if source not in seen]
        seen.update(new)
        waiting += new
    return found


def _of_a_norm(node: fx.Node, norms: tuple[str, ...]) -> bool:
    """Whether a call is that of a norm, or one of the operations that fx sees inside it."""
    modules = node.meta.get("nn_module_stack", {})
    paths = {path for path, _ in modules.values()} | {str(node.target)}
    return node.target in _NORMS or not paths.isdisjoint(norms)
