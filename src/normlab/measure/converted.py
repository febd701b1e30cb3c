"""What a conversion of a trained network's norms costs, and what a short training wins back."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from normlab.measure.rates import train_tuned
from normlab.tools.convert.model import convert
from normlab.training.setup import Setup
from normlab.training.step import evaluate


def converted(model: nn.Module, to: str) -> nn.Module:
    """A copy of `model` whose norms are of kind `to`, with the gains and shifts that they had."""
    return convert(copy.deepcopy(model), to).model


def cost_of_conversion(
    options: Mapping[str, Any], before: str, to: str, seed: int
) -> tuple[dict[str, float], Setup]:
    """Test accuracies around the conversion of a network of norm `before` to `to`, and its setup.

    `before_accuracy`: as trained. `converted_accuracy`: at once. `tuned_accuracy`: after the budget
    `options["tuned"]`. `scratch_accuracy`: of a network of norm `to` from new weights, after the
    budget `options["scratch"]`. Each training has a whole schedule and a rate of its own.

    options: those of `train_tuned`, and the two budgets, each a tuple of overrides.
    """
    trained: Setup = train_tuned(options, (f"norm={before}",), seed).kept
    networks = {"before": trained.model, "converted": converted(trained.model, to)}

    def put_in(model: nn.Module, shape: tuple[int, ...]) -> None:
        model.load_state_dict(trained.model.state_dict())
        convert(model, to)

    short = {**options, "choice": ()}
    budget: Sequence[str] = options["tuned"]
    networks["tuned"] = train_tuned(short, (f"norm={before}", *budget), seed, put_in).kept.model
    budget = options["scratch"]
    networks["scratch"] = train_tuned(short, (f"norm={to}", *budget), seed).kept.model
    metrics = {
        f"{name}_accuracy": evaluate(network, trained.data.eval_batches("test"))[1]
        for name, network in networks.items()
    }
    return metrics, trained
