"""Norms behind the activation instead of before it, and a training whose rate it chooses itself."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.norms import Norm
from normlab.records.record import DataSource
from normlab.training.setup import Setup, set_up
from normlab.training.step import evaluate

EXTENSIONS = 3  # of a grid of rates, on each side
_ACTIVATIONS = (nn.ReLU, nn.GELU)
Adapt = Callable[[nn.Module, tuple[int, ...]], object]


def norm_after_activation(model: nn.Module, shape: tuple[int, ...] = ()) -> None:
    """Swap, in place, each norm with the activation that directly follows it.

    conv-norm-ReLU becomes conv-ReLU-norm, GELU likewise: in a Sequential the two change places, and
    in a ResNet the `norm1` and `activation1` of a block, and `norm` and `activation` of the stem. A
    block's last norm stands before the sum with the shortcut, and stays.

    Raises:
        NormLabError: nothing to swap.
    """
    swapped = 0
    for parent in model.modules():
        if isinstance(parent, nn.Sequential):
            for index, (first, second) in enumerate(pairwise(list(parent))):
                if isinstance(first, Norm) and isinstance(second, _ACTIVATIONS):
                    parent[index], parent[index + 1] = second, first
                    swapped += 1
            continue
        for suffix in ("", "1"):
            norm = getattr(parent, f"norm{suffix}", None)
            activation = getattr(parent, f"activation{suffix}", None)
            if isinstance(norm, Norm) and isinstance(activation, _ACTIVATIONS):
                setattr(parent, f"norm{suffix}", activation)
                setattr(parent, f"activation{suffix}", norm)
                swapped += 1
    if not swapped:
        raise NormLabError(
            "this network has no norm with an activation behind it: nothing to swap."
        )


def trained_at_best_rate(
    overrides: Sequence[str],
    seed: int,
    rates: Sequence[float],
    choice: Sequence[str] = (),
    adapt: Adapt | None = None,
) -> tuple[dict[str, float], DataSource]:
    """`val_accuracy`, `test_accuracy`, `train_loss` and `rate` of the rate that validates best.

    The geometric grid `rates` grows where the best lies at its edge. With `choice`, overrides of a
    smaller budget, the rate is chosen by trainings of that, and then trained with the whole one.
    """

    def train(rate: float, more: Sequence[str] = ()) -> tuple[Setup, float, float]:
        given = [*overrides, *more, f"seed={seed}", f"optim.lr={rate:.2g}"]
        setup = set_up(compose(given), adapt=adapt)
        losses = setup.train()[-20:]
        _, accuracy = evaluate(setup.model, setup.data.eval_batches("val"), setup.bf16)
        return setup, accuracy, float(losses.mean())

    tried: dict[float, tuple[Setup | None, float, float]] = {}

    def score(rate: float) -> float:
        if rate not in tried:
            setup, accuracy, loss = train(rate, choice)
            # The network at the whole budget is kept, where it is one.
            tried[rate] = (None if choice else setup), accuracy, loss
        _, accuracy, loss = tried[rate]
        return accuracy if math.isfinite(loss) else -math.inf

    grid = sorted(rates)
    lower = upper = 0
    while True:
        best = max(grid, key=score)
        if best == grid[0] and lower < EXTENSIONS:
            grid.insert(0, grid[0] / (grid[1] / grid[0]))
            lower += 1
        elif best == grid[-1] and upper < EXTENSIONS:
            grid.append(grid[-1] * (grid[-1] / grid[-2]))
            upper += 1
        else:
            break
    kept, accuracy, loss = tried[best]
    if kept is None:
        kept, accuracy, loss = train(best)
    _, tested = evaluate(kept.model, kept.data.eval_batches("test"), kept.bf16)
    metrics = {
        "val_accuracy": accuracy,
        "test_accuracy": tested,
        "train_loss": loss if math.isfinite(loss) else kept.data.trivial_loss,
        "rate": best,
    }
    return metrics, kept.source
