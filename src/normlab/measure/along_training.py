"""A network looked at along its training: before and after single steps, at its best rate."""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from normlab.config.compose import compose
from normlab.records.record import DataSource
from normlab.training.setup import Setup, set_up

MOMENTS = 20
LAST = 20  # steps whose mean loss is that of the end: a single batch's is too noisy

# What a step changed: the network before it, its training just after it, and the step.
Look = Callable[[nn.Module, Setup, int], dict[str, float]]
Adapt = Callable[[nn.Module, tuple[int, ...]], object]


@dataclass(frozen=True)
class AlongTraining:
    """One training: what was seen at each moment, its training loss at the end and its rate.

    looks: one for each moment, in order; loss: in nats, the trivial loss where it is not finite.
    """

    looks: Sequence[dict[str, float]]
    loss: float
    rate: float
    data: DataSource

    def log_median(self, name: str) -> float:
        """Natural logarithm of the median over the moments, of what is bounded to 1e-12..1e12."""
        logs = torch.tensor(self.logs(name), dtype=torch.float64)
        # Of an even number the mean of the middle two, which `median` is not.
        return float(logs.quantile(0.5))

    def logs(self, name: str) -> list[float]:
        """Natural logarithm at each moment, of what is bounded to 1e-12..1e12."""
        return [math.log(_bounded(look[name])) for look in self.looks]


def along_training(
    overrides: Sequence[str],
    seed: int,
    rates: Iterable[float],
    look: Look,
    adapt: Adapt | None = None,
) -> AlongTraining:
    """The training at that of `rates` with the lowest loss over its last steps.

    At `MOMENTS` steps, evenly from the first one on, the step is trained and then
    `look(before, setup, step)` is called, with a copy of the network from before the step.
    """
    best: AlongTraining | None = None
    for rate in rates:
        setup = set_up(compose([*overrides, f"seed={seed}", f"optim.lr={rate}"]), adapt=adapt)
        one = _one(setup, rate, look)
        if best is None or one.loss < best.loss:
            best = one
    assert best is not None, "no learning rate"
    return best


def _one(setup: Setup, rate: float, look: Look) -> AlongTraining:
    looks, losses = [], []
    done = 0
    for step in sorted({setup.steps * k // MOMENTS for k in range(MOMENTS)}):
        if step > done:
            losses += setup.train(done, step).tolist()
        before = copy.deepcopy(setup.model)
        losses += setup.train(step, step + 1).tolist()
        done = step + 1
        looks.append(look(before, setup, step))
    if done < setup.steps:
        losses += setup.train(done).tolist()
    last = losses[-LAST:]
    loss = sum(last) / len(last)
    # NaN is neither lower nor higher: it would stay chosen.
    if not math.isfinite(loss):
        loss = setup.data.trivial_loss
    return AlongTraining(looks, loss, rate, setup.source)


def _bounded(size: float) -> float:
    # Zero and infinity have no logarithm; what exploded counts as the upper bound.
    return min(max(size, 1e-12), 1e12) if math.isfinite(size) else 1e12
