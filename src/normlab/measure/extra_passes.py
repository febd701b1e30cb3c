"""What forward passes in train mode do to the running statistics of a trained network.

Weights stay, as at the end of a schedule whose learning rate falls to zero.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor

from normlab.training.running_statistics import batch_norms
from normlab.training.setup import Setup
from normlab.training.step import evaluate


def accuracy_after(
    trained: Setup, batches: Iterable[Tensor], momentum: float | None = None
) -> float:
    """Test accuracy, 0 to 1, of a copy of the network that has seen `batches` in train mode.

    Args:
        batches: inputs (N, ...), each one update of the running statistics.
        momentum: of these updates, the weight of the new batch; None: that of the layers.
    """
    model = copy.deepcopy(trained.model)
    for layer in batch_norms(model):
        layer.momentum = layer.momentum if momentum is None else momentum
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    return evaluate(model.eval(), trained.data.eval_batches("test"))[1]


def fresh_batch(trained: Setup, index: int, size: int | None = None) -> Tensor:
    """Inputs of the training batch `index` batches after the last step, or its first `size`."""
    x, _ = trained.data.batch(trained.steps + index)
    return x[:size]
