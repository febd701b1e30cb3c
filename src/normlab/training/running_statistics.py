"""The running statistics of batch norms: which layers keep them, and how to estimate them anew."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


def batch_norms(model: nn.Module) -> list[Any]:
    """The layers of `model` that keep running statistics."""
    return [
        module for module in model.modules() if getattr(module, "running_mean", None) is not None
    ]


@torch.no_grad()
def re_estimate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    momentum: float | None = None,
    bf16: bool = False,
) -> None:
    """Replace running statistics, in place, by their average over `batches` in train mode.

    `momentum` None: cumulative. With whole batches of some hundred samples this is the precise
    batch norm of Wu & Johnson 2021.
    """
    device_type = next(model.parameters()).device.type
    for layer in batch_norms(model):
        # As new, since a cumulative average would keep a share of what was there.
        layer.running_mean.zero_()
        layer.running_var.fill_(1)
        layer.num_batches_tracked.zero_()
        layer.momentum, layer.ghost_batch = momentum, None
    model.train()
    with torch.autocast(device_type, torch.bfloat16, enabled=bf16):
        for x, _ in batches:
            model(x)
    model.eval()
