"""The largest learning rates at which a network trains at all, and trains well."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import nn

from normlab.config.compose import compose
from normlab.models.resnet import BasicBlock
from normlab.records.measurement import Measurement
from normlab.records.record import DataSource
from normlab.training.divergence import divergence, stuck
from normlab.training.setup import Setup, set_up
from normlab.training.step import evaluate

Adapt = Callable[[nn.Module, tuple[int, ...]], object]
CHUNKS = 20  # looks for divergence in a training
WITHIN = 0.03  # of the best accuracy: what trains well


class Outcome(NamedTuple):
    """Of a training: its test accuracy, None if it does not train, and its data."""

    accuracy: float | None
    source: DataSource


def zero_last_gains(model: nn.Module, input_shape: tuple[int, ...] = ()) -> None:
    """Set the gain of the last norm of each residual branch to 0, so that a block begins as the
    identity (Goyal et al. 2017, section 5.1)."""
    for block in model.modules():
        if isinstance(block, BasicBlock):
            gain = block.norm2.weight
            assert isinstance(gain, nn.Parameter), "a norm without a gain"
            nn.init.zeros_(gain)


def train_at(overrides: Sequence[str], rate: float, seed: int, adapt: Adapt | None) -> Outcome:
    """A training at `rate`, from its first step to its last."""
    setup = set_up(compose([*overrides, f"optim.lr={rate}", f"seed={seed}"]), adapt=adapt)
    return Outcome(accuracy_if_trained(setup), setup.source)


def accuracy_if_trained(setup: Setup) -> float | None:
    """Test accuracy after the training of `setup`; None if it diverges or is stuck, as the engine
    has it for plain trainings."""
    steps: list[int] = []
    losses: list[float] = []
    chunk, trivial = max(1, setup.steps // CHUNKS), setup.data.trivial_loss
    for first in range(0, setup.steps, chunk):
        end = min(first + chunk, setup.steps)
        losses.append(float(setup.train(first, end).mean()))
        steps.append(end)
        if divergence(steps, losses, trivial):
            return None
    loss = evaluate(setup.model, setup.data.eval_batches("val"))[0]
    if not math.isfinite(loss) or stuck(loss, losses, trivial, setup.steps):
        return None
    return evaluate(setup.model, setup.data.eval_batches("test"))[1]


def largest_rates(
    overrides: Sequence[str], rates: Sequence[float], seed: int, adapt: Adapt | None = None
) -> Measurement:
    """Of a training at each of `rates` (ascending).

    `log2_stable`: binary logarithm of the largest rate at which it trains; `log2_useful`: of the
    largest whose test accuracy is within 3 points of the best; of the lowest rate where none does.
    `best_accuracy`: at the best rate, 0 where none trains.
    """
    found = {rate: train_at(overrides, rate, seed, adapt) for rate in rates}
    trained = {rate: one.accuracy for rate, one in found.items() if one.accuracy is not None}
    best = max(trained.values(), default=0.0)
    useful = [rate for rate, accuracy in trained.items() if accuracy >= best - WITHIN]
    metrics = {
        "log2_stable": math.log2(max(trained, default=rates[0])),
        "log2_useful": math.log2(max(useful, default=rates[0])),
        "best_accuracy": best,
    }
    return Measurement(metrics, found[rates[0]].source)
