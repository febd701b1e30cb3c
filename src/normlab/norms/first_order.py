"""Autograd functions with a backward of their own, which cannot be differentiated again."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from normlab.errors import NormLabError

Gradients = tuple[Tensor | None, ...]


def first_order(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """Marks a backward that autograd must not differentiate: it raises under `create_graph=True`.

    torch's `once_differentiable` passes a constant where the incoming gradient needs no gradient,
    so that a gradient penalty behind a linear layer would silently lose the norm's terms.
    """

    @wraps(backward)
    def guarded(ctx: Any, *gradients: Tensor) -> Gradients:
        if torch.is_grad_enabled():
            raise NormLabError(
                "the gradient of this norm cannot be differentiated again: "
                "leave out create_graph=True."
            )
        return backward(ctx, *gradients)

    return guarded


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Any:
    """`function.apply(*arguments)`, for which torch declares no types."""
    return function.apply(*arguments)
