"""How far a batch's statistics are from the running ones, in batch norms of a network in
training."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normlab.config.compose import compose
from normlab.norms.batch import BatchNorm
from normlab.records.record import DataSource
from normlab.training.setup import set_up

MOMENTS = 3  # of the training at which is measured: a third, two thirds, the end
BATCHES = 8  # fresh ones each time


def fluctuations(overrides: Sequence[str], seed: int) -> tuple[dict[str, float], DataSource]:
    """Trains what `overrides` describe and returns metrics, and name and fingerprint of the data.

    `mean` is |mean of the batch - running mean| / running deviation, `var` |variance of the batch /
    running variance - 1|, per channel and batch norm. `_all`: over all values that the layer reads;
    `_one`: over one value of each sample, at a random position, so that every batch has as many
    independent values as samples. Each as the median over channels, layers, batches and moments,
    and `_99`, the 99th percentile.
    """
    setup = set_up(compose([*overrides, f"seed={seed}"]))
    distances: dict[str, list[Tensor]] = {}
    done = 0
    generator = torch.Generator().manual_seed(seed)
    for moment in range(1, MOMENTS + 1):
        end = max(done + 1, setup.steps * moment // MOMENTS)
        setup.train(done, end)
        done = end
        for batch in range(BATCHES):
            # Batches of a later epoch: drawn as in training, and not trained on yet.
            x, _ = setup.data.batch(setup.steps + moment * BATCHES + batch)
            _measure(setup.model, x, distances, generator)
    metrics = {}
    for name, rows in distances.items():
        values = torch.cat(rows).double()
        metrics[name] = float(values.median())
        metrics[f"{name}_99"] = float(values.quantile(0.99))
    return metrics, setup.source


@torch.no_grad()
def _measure(
    model: nn.Module, x: Tensor, distances: dict[str, list[Tensor]], generator: torch.Generator
) -> None:
    """Adds what every batch norm reads in `model(x)`.

    In eval mode: with running statistics, which stay as they are.
    """

    def note(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        h = inputs[0]
        rows = h if norm.layout == "NTC" else h.flatten(2).transpose(1, 2)  # (N, positions, C)
        position = torch.randint(rows.shape[1], (len(rows),), generator=generator)
        # (N, C)
        one = rows[torch.arange(len(rows)), position]
        deviation = (norm.running_var + norm.eps).sqrt()
        for name, values in (("all", rows.flatten(0, 1)), ("one", one)):
            variance, mean = torch.var_mean(values, dim=0)
            of_mean = (mean - norm.running_mean).abs() / deviation
            # With eps, as the layer divides: else a channel that hardly varies would count most.
            of_variance = ((variance + norm.eps) / deviation.square() - 1).abs()
            distances.setdefault(f"mean_{name}", []).append(of_mean)
            distances.setdefault(f"var_{name}", []).append(of_variance)

    hooks = [m.register_forward_pre_hook(note) for m in model.modules() if isinstance(m, BatchNorm)]
    model.eval()
    model(x)
    model.train()
    for hook in hooks:
        hook.remove()
