"""Calling any network: with a tensor, arguments or keywords, whatever it returns or raises."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def call(model: nn.Module, batch: Any) -> Any:
    """`model(**batch)` for a mapping, as tokenizers make; `model(*batch)` for a tuple or list, else `model(batch)`."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, tuple | list) else model(batch)


def first_tensor(output: Any) -> Tensor:
    """The first tensor of what a network returned."""
    if isinstance(output, Tensor):
        return output
    values = output.values() if isinstance(output, Mapping) else output
    return next(first_tensor(value) for value in values if value is not None)


def training_step(model: nn.Module, batch: Any) -> Tensor:
    """One forward pass, a backward pass of the output's mean square and a step of SGD; the output before the step."""
    y = first_tensor(call(model, batch))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    y.float().square().mean().backward()
    optimizer.step()
    return y.detach()


def in_words(error: Exception) -> str:
    """Class and first line of what a network raised."""
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".: ")
