"""When a call in train mode records its statistics: once for an input, and where it can."""

import torch
from torch import Tensor
from torch._C import _functorch as levels
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters

from normlab.errors import NormLabError

# By names of their own, as in kernels/conditions.py.
_compiling = torch.compiler.is_compiling
_functorch = torch._C._are_functorch_transforms_active
_backward = torch._C._current_graph_task_id


def recomputed() -> bool:
    """Whether a backward calls the layer, to have again what activation checkpointing threw away.

    The first pass has recorded the statistics of the same input.
    """
    return not _compiling() and _backward() != -1


def check_transforms(kind: str, x: Tensor, buffer: Tensor) -> None:
    """Raises NormLabError where a transform of torch.func keeps a buffer from being updated.

    Args:
        x: what the update is made of.
    """
    if not _compiling() and _functorch() and _out_of_reach(x, buffer):
        raise NormLabError(
            f"{kind} in train mode records statistics, and this transform of torch.func cannot "
            "write to its buffers: call eval(), pass the buffers to the transformed function "
            "(torch.func.functional_call), or choose a norm without them, such as groupnorm."
        )


def _out_of_reach(x: Tensor, buffer: Tensor) -> bool:
    """A transform of gradients writes to nothing that it was not given; vmap not to one tensor
    what it has several of."""
    of_x, of_buffer = _levels(x), _levels(buffer)
    for interpreter in retrieve_all_functorch_interpreters():
        several = interpreter.key() == levels.TransformType.Vmap
        level = interpreter.level()
        if level not in of_buffer and (level in of_x or not several):
            return True
    return False


def _levels(x: Tensor) -> set[int]:
    """The levels of the transforms that have `x` in their hands."""
    found = set()
    while levels.is_functorch_wrapped_tensor(x):
        found.add(levels.maybe_get_level(x))
        x = levels.get_unwrapped(x)
    return found
