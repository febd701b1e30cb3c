"""Copies of a layer, and a layer whose forward runs a second time in the backward."""

import copy
import io
import pickle
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from abilities.autograd import agree
from abilities.cases import Case, build, example
from abilities.table import ability


def step(layer: nn.Module, x: Tensor, call: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The gradients of a loss behind `call`, that of the input first."""
    point = x.clone(memory_format=torch.preserve_format).requires_grad_()
    call(point).pow(3).sum().backward()
    return [point.grad, *(parameter.grad for parameter in layer.parameters())]


def same_buffers(one: nn.Module, other: nn.Module) -> None:
    for a, b in zip(one.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(a, b)


def steps(case: Case, reentrant: bool) -> tuple[list[Tensor], nn.Module]:
    """The gradients of two steps with checkpointing, and the layer after them."""
    layer, x = build(case), example(case)
    found = step(layer, x, lambda x: checkpoint(layer, x, use_reentrant=reentrant))
    return found + step(layer, x, lambda x: checkpoint(layer, x, use_reentrant=reentrant)), layer


@ability("checkpoint", group="autograd")
def checkpointed(case: Case) -> None:
    """The gradients of torch.utils.checkpoint, by both of its ways."""
    layer, x = build(case), example(case)
    wanted = step(layer, x, layer) + step(layer, x, layer)
    for reentrant in (False, True):
        agree(steps(case, reentrant)[0], wanted, 1e-6)


@ability("checkpoint counts once", group="autograd", applies=lambda case: case.stateful)
def counted_once(case: Case) -> None:
    """The running statistics are those of steps without checkpointing, by both ways."""
    layer, x = build(case), example(case)
    for _ in range(2):
        step(layer, x, layer)
    for reentrant in (False, True):
        same_buffers(steps(case, reentrant)[1], layer)


@ability("deepcopy, pickle", group="autograd")
def copied(case: Case) -> None:
    """Of a layer that has been used, torch.save of the whole layer too."""
    layer, x = build(case), example(case)
    step(layer, x, layer)
    stream = io.BytesIO()
    torch.save(layer, stream)
    stream.seek(0)
    copies = [
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(stream, weights_only=False),
    ]
    for one in [*copies, layer]:
        one.zero_grad()
    wanted = step(layer, x, layer)
    for other in copies:
        for ours, plain in zip(step(other, x, other), wanted, strict=True):
            assert torch.equal(ours, plain)
        same_buffers(other, layer)
        assert str(other) == str(layer)
