"""Autograd functions, with the types that torch does not declare."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """`function.apply(*arguments)`, for which torch declares no types."""
    return function.apply(*arguments)


def directly(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """`function.apply` for where no transform of torch.func is at work, nor left its tensors: it
    asks for that at each call, which takes a quarter of the time of a small norm."""
    applied: Callable[..., Any] = super(torch.autograd.Function, function).apply  # type: ignore[misc]
    return applied
