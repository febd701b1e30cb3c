"""When a kernel may stand in for operations, and the gradients of operations where it may not."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from normlab.norms.kernels.library import Functions, functions

_PLAIN = (Tensor, nn.Parameter)
# By names of their own: on one row, looking them up takes longer than asking.
_compiling = torch.compiler.is_compiling
_functorch = torch._C._are_functorch_transforms_active
_tracing = torch._C._get_tracing_state
_modes = torch._C._len_torch_dispatch_stack
_left_over = torch._C._functorch.is_dead_tensor_wrapper  # type: ignore[attr-defined]
_records = torch.is_grad_enabled
_FLOAT, _STRIDED = torch.float32, torch.strided


def transformed() -> bool:
    """Whether a transform of torch.func or forward mode is at work."""
    return not _compiling() and (_functorch() or forward_ad._current_level >= 0)


def watched() -> bool:
    """Whether something takes operations for what they do: a kernel would hide them from it.

    A compiler or exporter, a transform of torch.func, forward mode, a tracer, a dispatch mode. The
    compiler is asked first: it cannot trace the other questions.
    """
    return (
        _compiling()
        or _functorch()
        or forward_ad._current_level >= 0
        or _tracing() is not None
        or _modes() > 0
    )


def kernels_for(x: Tensor, *parameters: Tensor | None) -> Functions | None:
    """The kernels for `x`, or None where operations of torch have to do it.

    They take plain tensors on the CPU, float32 or bfloat16, with parameters in float32. How `x`
    lies in memory is for the caller to see to.
    """
    found = functions(x.dtype)
    if (
        found is None
        or type(x) not in _PLAIN
        or not x.is_cpu
        or watched()
        or x.layout is not _STRIDED
        or _left_over(x)  # by a transform that has ended
    ):
        return None
    for parameter in parameters:
        if parameter is not None and not (
            parameter.dtype is _FLOAT
            and type(parameter) in _PLAIN
            and parameter.is_cpu
            and parameter.is_contiguous()
            and not _left_over(parameter)
        ):
            return None
    return found


def wants_operations(dy: Tensor) -> bool:
    """Whether a backward has to be one of operations: it is differentiated, watched or batched."""
    if _records() or watched():
        return True
    try:
        dy.data_ptr()
    except RuntimeError:  # batched by autograd's is_grads_batched, which shows nowhere else
        return True
    return False


def kernels_for_gradient(dy: Tensor) -> Functions | None:
    """The kernels for a backward, or None where operations of torch have to do it."""
    if type(dy) is not Tensor or wants_operations(dy):
        return None
    return functions(dy.dtype)


def needs_graph(x: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> bool:
    """Whether autograd has to know of an operation on them."""
    return _records() and (
        x.requires_grad
        or (weight is not None and weight.requires_grad)
        or (bias is not None and bias.requires_grad)
    )


def by_operations(
    formula: Callable[..., Tensor],
    inputs: tuple[Tensor | None, ...],
    wanted: tuple[bool, ...],
    dy: Tensor,
) -> list[Tensor | None]:
    """The gradients of `formula(*inputs)` by autograd, None where none is wanted.

    For a backward that is itself differentiated, transformed or watched.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        y = formula(*inputs)
    points = [point for point, one in zip(inputs, wanted, strict=True) if one]
    found = iter(torch.autograd.grad(y, points, dy, create_graph=again))  # type: ignore[arg-type]
    return [next(found) if one else None for one in wanted]


def enough_memory(done: int) -> None:
    """Raises MemoryError where a kernel says that it had none to work in."""
    if not done:
        raise MemoryError("a norm found no memory to work in")
