"""Autograd functions, with the types that torch does not declare."""

from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """`function.apply(*arguments)`, for which torch declares no types."""
    return function.apply(*arguments)
