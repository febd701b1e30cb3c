"""Values that a compiled backward must take as the forward had them."""

import torch
from torch import Tensor


@torch.library.custom_op("normlab::saved", mutates_args=())
def _saved(x: Tensor) -> Tensor:
    return x.clone()


@_saved.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


def saved(x: Tensor) -> Tensor:
    """`x`, a tensor without gradient that was made of buffers which the forward changes later.

    A compiler may compute in the backward again what it has not saved, and then from the changed
    buffers: torch 2.13 with inductor gives wrong gradients so. It does not do an operation again
    that it does not know.
    """
    if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        found: Tensor = _saved(x)
        return found
    return x
