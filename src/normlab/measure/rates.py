"""A learning rate of its own for a training that a claim measures by itself. Torch-free at import.

As the engine chooses for plain trainings: by the validation score, on a grid that grows where the
best rate lies at its edge.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from normlab.measure.networks import train_network

if TYPE_CHECKING:
    from torch import nn

    from normlab.training.setup import Setup

GROWS = 3  # steps that a grid can grow by, at either end

T = TypeVar("T")
# What a rate came to: its score, higher is better and minus infinity if it does not train, and what
# is kept of it.
Attempt = Callable[[float], tuple[float, T]]


class Tried(NamedTuple):
    """The rate that was chosen, its score, and what is kept of its training."""

    rate: float
    score: float
    kept: Any


def best_rate(attempt: "Attempt[T]", rates: Sequence[float], *, extend: bool = True) -> Tried:
    """The best of `rates` (ascending, a geometric grid) by the score of `attempt(rate)`.

    With `extend` the grid grows at the edge where its best rate lies, and downwards and then
    upwards where no rate trains.
    """
    grid = sorted(rates)
    factor = grid[1] / grid[0] if len(grid) > 1 else 3.0
    best: Tried | None = None
    scores: dict[float, float] = {}
    lower = upper = 0 if extend else GROWS
    while True:
        for rate in grid:
            if rate in scores:
                continue
            scores[rate], kept = attempt(rate)
            # What is not the best is let go of: a network is large.
            if best is None or _order(scores[rate], rate) > _order(best.score, best.rate):
                best = Tried(rate, scores[rate], kept)
        assert best is not None, "a grid has rates"
        if best.rate == grid[0] and lower < GROWS:
            grid.insert(0, _rounded(grid[0] / factor))
            lower += 1
        elif (best.rate == grid[-1] or best.score == -math.inf) and upper < GROWS:
            grid.append(_rounded(grid[-1] * factor))
            upper += 1
        else:
            return best


def _order(score: float, rate: float) -> tuple[float, float]:
    """Of equal scores the lowest rate."""
    return score, -rate


def _rounded(rate: float) -> float:
    return float(f"{rate:.2g}")


def train_tuned(
    options: Mapping[str, Any],
    arm: Sequence[str],
    seed: int,
    adapt: "Callable[[nn.Module, tuple[int, ...]], object] | None" = None,
) -> Tried:
    """What `train_network` trains, at the rate that this seed chooses; `kept` is its `Setup`.

    options: those of `normlab.claims.protocols.own_rates`: `overrides`, `rates`, `choice` and
    `extend`. `choice`: overrides of a shorter budget, by which the rate is chosen, or none. `arm`:
    overrides after `overrides`.
    """

    def train(rate: float, choice: Sequence[str] = ()) -> "Setup":
        given = (*options["overrides"], *arm, *choice, f"optim.lr={rate}")
        return train_network(given, seed, adapt)

    def attempt(rate: float) -> "tuple[float, Setup]":
        setup = train(rate, options["choice"])
        return validation_score(setup), setup

    found = best_rate(attempt, options["rates"], extend=options["extend"])
    return found._replace(kept=train(found.rate)) if options["choice"] else found


def validation_score(setup: "Setup", model: "nn.Module | None" = None) -> float:
    """Accuracy on the validation split of the network of `setup`, or of `model`; minus infinity for
    one whose loss is not finite, or not below that of a network that ignores its input."""
    from normlab.training.step import evaluate

    loss, accuracy = evaluate(model or setup.model, setup.data.eval_batches("val"))
    return accuracy if loss < setup.data.trivial_loss else -math.inf
