"""The residual stream of a trained transformer: how it grows along the depth."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from normlab.training.setup import Setup


@torch.no_grad()
def stream(setup: Setup) -> dict[str, float]:
    """`stream_growth`: root mean square after the last block over that after the first.

    On the first test batch. `stream_first`, `stream_last`: the two; `stream_largest`: the largest
    absolute value after any block. Nothing for a model without blocks.
    """
    blocks = getattr(setup.model, "blocks", None)
    if blocks is None:
        return {}
    model: Any = copy.deepcopy(setup.model).eval()
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        outputs.append(output.detach())

    for block in model.blocks:
        block.register_forward_hook(keep)
    x, _ = next(iter(setup.data.eval_batches("test")))
    model(x)
    first, last = _root_mean_square(outputs[0]), _root_mean_square(outputs[-1])
    largest = max(float(output.abs().max()) for output in outputs)
    return {
        "stream_growth": last / first,
        "stream_first": first,
        "stream_last": last,
        "stream_largest": largest,
    }


def _root_mean_square(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())
