"""How the gradient changes on its way back through a network."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from normlab.config.schema import Config
from normlab.records.record import DataSource
from normlab.training.setup import Setup, set_up
from normlab.training.step import loss_of


def hidden_gradient_norms(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """L2 norm, over `batches`, of the loss gradient at each linear layer's output but the last's.

    Shape: (layers - 1,), float64.
    """
    outputs: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        # Gradients of what is no leaf are not kept otherwise.
        output.retain_grad()
        outputs.append(output)

    layers = [module for module in model.modules() if isinstance(module, nn.Linear)][:-1]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    squares = torch.zeros(len(layers), dtype=torch.float64)
    for x, y in batches:
        outputs.clear()
        loss_of(model, x, y).backward()
        gradients = [output.grad for output in outputs if output.grad is not None]
        squares += torch.stack([gradient.double().square().sum() for gradient in gradients])
    for hook in hooks:
        hook.remove()
    model.zero_grad()
    return squares.sqrt()


def flow_before_and_after(
    cfg: Config, steps: int, rates: Iterable[float]
) -> tuple[list[float], list[float], DataSource]:
    """`hidden_gradient_norms` before training and after `steps` at the best one of `rates`.

    That is the one with the lowest training loss. They are of the four batches after those of
    training. A net whose gradient is zero or not finite at every rate counts after training with
    what it was before. Also the data's name and fingerprint.
    """
    untrained = set_up(cfg, steps=steps)

    def norms(setup: Setup) -> Tensor:
        after_training = range(steps, steps + 4)
        return hidden_gradient_norms(setup.model, (setup.data.batch(i) for i in after_training))

    before = norms(untrained)
    lowest, after = math.inf, before
    for rate in rates:
        with_rate = replace(cfg, optim=replace(cfg.optim, lr=rate))
        # Seeded anew: every rate starts at the same weights.
        setup = set_up(with_rate, data=untrained.data, steps=steps)
        loss = float(setup.train()[-20:].mean())
        trained = norms(setup)
        finite = math.isfinite(float(trained.sum()))
        if loss < lowest and finite and bool((trained > 0).all()):
            lowest, after = loss, trained
    return before.tolist(), after.tolist(), untrained.source
