"""How the gradient changes on its way back through a network."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from normlab.data import load_data
from normlab.models import build_model
from normlab.training.optim import build_optimizer, learning_rate
from normlab.training.step import loss_of, train_steps


def hidden_gradient_norms(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """L2 norm, over `batches`, of the loss gradient at the output of each linear layer but the last: (layers,) fp64."""
    outputs: list[Tensor] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    layers = [module for module in model.modules() if isinstance(module, nn.Linear)][:-1]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    squares = torch.zeros(len(layers), dtype=torch.float64)
    for x, y in batches:
        outputs.clear()
        loss_of(model, x, y).backward()
        squares += torch.stack([output.grad.double().square().sum() for output in outputs])  # type: ignore[union-attr]
    for hook in hooks:
        hook.remove()
    model.zero_grad()
    return squares.sqrt()


def flow_before_and_after(
    cfg: Any, steps: int, rates: Iterable[float]
) -> tuple[list[float], list[float], dict[str, str]]:
    """`hidden_gradient_norms` before training and after `steps` at the one of `rates` with the lowest training loss.

    They are of the four batches after those of training. A net whose gradient is zero or not finite at every rate
    counts after training with what it was before. Also the data's name and fingerprint.
    """
    data = load_data(cfg.data, cfg.seed)

    def build() -> nn.Module:
        return build_model(cfg, data.modality, data.input_shape, data.num_outputs)

    def norms(model: nn.Module) -> Tensor:
        return hidden_gradient_norms(model, (data.batch(step) for step in range(steps, steps + 4)))

    before = norms(build())
    lowest, after = math.inf, before
    for rate in rates:
        cfg.optim.lr = rate
        model = build()
        optimizer, schedule = build_optimizer(cfg.optim, model), learning_rate(cfg.optim, steps)
        loss = float(train_steps(model, optimizer, schedule, data.batch, 0, steps)[-20:].mean())
        trained = norms(model)
        if loss < lowest and bool((trained > 0).all()) and math.isfinite(float(trained.sum())):
            lowest, after = loss, trained
    return before.tolist(), after.tolist(), {"name": data.name, "fingerprint": data.fingerprint}
