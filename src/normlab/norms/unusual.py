"""Inputs that a norm's own path is not made for: without a value, or of another precision."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.norms.tensors import narrow

if TYPE_CHECKING:
    from normlab.norms.base import Norm


def goes_with(dtype: torch.dtype, state: torch.dtype) -> bool:
    """Whether norms take inputs of `dtype` with parameters in `state` as they are.

    Parameters of 16 bits, as FSDP's mixed precision hands them over, are widened but in a compiled
    graph, where most kinds take them.
    """
    if state.itemsize == 4:
        return dtype.itemsize <= 4
    return dtype is state and (state.itemsize > 4 or torch.compiler.is_compiling())


def without_values(norm: "Norm", x: Tensor) -> Tensor:
    """The output for an `x` without a value: its gradients are zeros for every parameter."""
    y = x.clone()
    for parameter in norm.parameters():
        y = y * parameter.sum()
    return narrow(y, x)


def in_one_precision(norm: "Norm", x: Tensor) -> Tensor:
    """The output, in the dtype of `x`, of a norm whose parameters are of another precision.

    Computed in the wider of the two, float32 at least. Gradients arrive in the dtype of what they
    are gradients of; buffers are updated in their own.
    """
    if torch.compiler.is_compiling():
        raise NormLabError(
            f"{type(norm).__name__} was given another precision than that of its parameters, "
            "which cannot be compiled in one graph: bring both to one dtype."
        )
    state = norm.state()
    assert state is not None
    dtype = torch.promote_types(torch.promote_types(x.dtype, state.dtype), torch.float32)
    if state.dtype is dtype:
        return narrow(norm.forward(x.to(dtype)), x)
    tensors = [*norm.named_parameters(), *norm.named_buffers()]
    wider = {f"norm.{name}": one.to(dtype) for name, one in tensors if one.is_floating_point()}
    y: Tensor = torch.func.functional_call(_Forward(norm), wider, (x,))
    if norm.training:
        with torch.no_grad():
            for name, buffer in norm.named_buffers():
                computed = wider.get(f"norm.{name}", buffer)
                if computed is not buffer:
                    buffer.copy_(computed)
    return narrow(y, x)


class _Forward(nn.Module):
    """A norm without its hooks, which are at work already."""

    def __init__(self, norm: "Norm") -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm.forward(x)
        return y
