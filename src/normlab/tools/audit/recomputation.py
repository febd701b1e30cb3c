"""Running statistics that a training step moves twice.

Activation checkpointing computes a part of the forward pass again in the backward pass; a batch
norm in it then counts the same batch once more.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from normlab.tools.audit.finding import Finding
from normlab.tools.audit.subject import Subject
from normlab.tools.forward_pass import call, error_in_words, tensors_in
from normlab.tools.norm_layers import NormLayer
from normlab.tools.replica import quiet

# By which networks say that they do it: transformers, timm, torchvision's DenseNet, mmcv, Swin.
_SWITCHES = (
    *("gradient_checkpointing", "grad_checkpointing", "memory_efficient", "with_cp"),
    *("use_checkpoint", "use_checkpointing"),
)

Means = dict[str, Tensor]  # running means by the name of the norm


def counted_twice(subject: Subject) -> Iterator[Finding]:
    """Batch norms that a backward pass, too, shows the batch. Needs a sample batch."""
    norms = averaging(subject.live)
    if not norms or subject.evaluated:
        return
    if subject.sample_batch is None:
        switched_on = _checkpointing(subject.model, norms)
        if switched_on:
            subject.notes.append(
                f"statistics that are counted twice by activation checkpointing ({switched_on}): "
                "give a sample_batch"
            )
        return
    if subject.synchronizes:
        subject.notes.append(
            "statistics that are counted twice: the norms wait for other processes"
        )
        return
    model = subject.training_copy()
    # A gradient of its own, if the batch has one, is not to grow.
    batch = tree_map(_detached, subject.sample_batch)
    try:
        with quiet(model), torch.inference_mode(False), torch.enable_grad():
            start = running_means(norms, model)
            outputs = call(model, batch)
            between = running_means(norms, model)
            _backward(outputs)
            end = running_means(norms, model)
    except Exception as error:  # whatever somebody else's network raises
        reason = f"one step in train mode fails ({error_in_words(error)})"
        subject.notes.append(f"statistics that are counted twice: {reason}")
        return
    yield from findings(norms, start, between, end)


def averaging(live: list[NormLayer]) -> list[NormLayer]:
    """The live norms whose running statistics a second look at the same batch changes.

    The average of all batches alike, momentum None, stays what it is if each counts twice.
    """
    keeping = (norm for norm in live if norm.kept_statistics)
    return [norm for norm in keeping if getattr(norm.module, "momentum", None)]


def running_means(norms: list[NormLayer], model: nn.Module) -> Means:
    """Copies of the running means that `norms` have in `model`."""
    means = {}
    for norm in norms:
        mean = model.get_submodule(norm.names[0]).running_mean
        assert isinstance(mean, Tensor)
        means[norm.name] = mean.clone()
    return means


def findings(norms: list[NormLayer], start: Means, between: Means, end: Means) -> Iterator[Finding]:
    """Of means before a step, after its forward pass, and after its backward pass."""
    by_momentum: dict[float, list[str]] = {}
    for norm in norms:
        forward = not torch.equal(start[norm.name], between[norm.name])
        # What a wrapper has left to the backward pass alone is counted once.
        if forward and not torch.equal(between[norm.name], end[norm.name]):
            by_momentum.setdefault(getattr(norm.module, "momentum", 0.0), []).append(norm.name)
    for momentum, names in by_momentum.items():
        reason = (
            "running statistics move in the forward pass and again in the backward pass, which "
            f"computes it anew (activation checkpointing): each batch counts twice; momentum "
            f"{1 - (1 - momentum) ** 0.5:.3g} in place of {momentum:g} makes up for it"
        )
        yield Finding("statistics-counted-twice", tuple(names), reason, undecided="what that costs")


def _checkpointing(model: nn.Module, norms: list[NormLayer]) -> str:
    """A module around one of `norms` that says that it uses activation checkpointing; else ""."""
    for name, module in model.named_modules():
        inside = f"{name}." if name else ""
        if not any(norm.names[0].startswith(inside) for norm in norms):
            continue
        for switch in _SWITCHES:
            if getattr(module, switch, False) is True:
                return f"{inside}{switch} is True"
        if type(module).__name__ == "CheckpointWrapper":
            return f"{name or 'the model'} is a CheckpointWrapper"
    return ""


def _backward(outputs: Any) -> None:
    """Through all that can carry a gradient."""
    carrying = [tensor for tensor in tensors_in(outputs) if tensor.requires_grad]
    sums = [tensor.sum() for tensor in carrying if tensor.is_floating_point()]
    if sums:
        # Not torch.autograd.grad, which checkpoints of the reentrant kind refuse.
        torch.autograd.backward(sums)


def _detached(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().requires_grad_(value.requires_grad)
