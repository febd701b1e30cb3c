"""A forward pass of any network: called with whatever it takes, whatever it returns or raises."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def call(model: nn.Module, batch: Any) -> Any:
    """`model` called with `batch`.

    As keywords for a mapping, as tokenizers make; as arguments for a tuple or list; else as it is.
    """
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, tuple | list) else model(batch)


def items_of(batch: Any) -> list[Any]:
    """The values of a mapping, the items of a tuple or list, else `batch` alone."""
    if isinstance(batch, Mapping):
        return list(batch.values())
    return list(batch) if isinstance(batch, tuple | list) else [batch]


def by_position(
    module: nn.Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """The arguments of a call of `module`, with those that it may take by position moved there.

    So that its input is the first argument for `norm(x)` as for `norm(input=x)`.
    """
    if not keywords:
        return args, keywords
    try:
        bound = inspect.signature(module.forward).bind(*args, **keywords)
    except (TypeError, ValueError):  # of what is not written in Python, or will raise by itself
        return args, keywords
    return bound.args, bound.kwargs


def tensors_in(values: Any) -> Iterator[Tensor]:
    """The tensors of a batch or an output, in order, however mappings, tuples and lists nest."""
    if isinstance(values, Tensor):
        yield values
    # A text is no sequence of these, and its items are texts again.
    elif isinstance(values, Mapping | tuple | list):
        for value in items_of(values):
            yield from tensors_in(value)


def batch_length(batch: Any) -> int | None:
    """The length of the first tensor of a batch that has one; None if there is none."""
    return next((len(tensor) for tensor in tensors_in(batch) if tensor.ndim), None)


def first_tensor(output: Any) -> Tensor:
    """The first tensor of what a network returned."""
    if isinstance(output, Tensor):
        return output
    # Outputs of `transformers` are mappings; None stands there for what was not asked for.
    values = output.values() if isinstance(output, Mapping) else output
    return next(first_tensor(value) for value in values if value is not None)


def training_step(model: nn.Module, batch: Any) -> Tensor:
    """A step of SGD on the output's mean square, at a rate of 0.01; the output before the step."""
    y = first_tensor(call(model, batch))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    # In float32, since squares from 256 on overflow in float16.
    torch.autograd.backward(y.float().square().mean())
    optimizer.step()
    return y.detach()


def error_in_words(error: Exception) -> str:
    """Class and first line of what a network raised."""
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".: ")
