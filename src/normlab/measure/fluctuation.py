"""How far a batch's statistics are from the running ones, in the batch norms of a network while it trains."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normlab.config.schema import compose
from normlab.data import load_data
from normlab.models import build_model
from normlab.norms.batch import BatchNorm
from normlab.training.optim import build_optimizer, learning_rate
from normlab.training.step import train_steps

MOMENTS = 3  # of the training at which is measured: a third, two thirds, the end
BATCHES = 8  # fresh ones each time


def fluctuations(overrides: Sequence[str], seed: int) -> tuple[dict[str, float], dict[str, str]]:
    """Trains what `overrides` describe and returns metrics, and name and fingerprint of the data.

    `mean` is |mean of the batch - running mean| / running deviation, `var` |variance of the batch / running variance
    - 1|, per channel and batch norm. `_all`: over all values that the layer reads; `_one`: over one value of each
    sample, at a random position, so that every batch has as many independent values as samples. Each as the median
    over channels, layers, batches and moments, and `_99`, the 99th percentile.
    """
    cfg = compose([*overrides, f"seed={seed}"])
    torch.manual_seed(seed)
    data: Any = load_data(cfg.data, seed)
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
    optimizer = build_optimizer(cfg.optim, model)
    steps = cfg.trainer.max_steps
    rate = learning_rate(cfg.optim, steps)
    found: dict[str, list[Tensor]] = {}
    done = 0
    generator = torch.Generator().manual_seed(seed)
    for moment in range(1, MOMENTS + 1):
        end = max(done + 1, steps * moment // MOMENTS)
        train_steps(
            model, optimizer, rate, data.batch, done, end - done, clip_norm=cfg.optim.clip_norm
        )
        done = end
        for batch in range(BATCHES):
            # Batches of a later epoch: drawn as in training, and not trained on yet.
            _measure(model, data.batch(steps + moment * BATCHES + batch)[0], found, generator)
    metrics = {}
    for name, parts in found.items():
        values = torch.cat(parts).double()
        metrics[name] = float(values.median())
        metrics[f"{name}_99"] = float(values.quantile(0.99))
    return metrics, {"name": data.name, "fingerprint": data.fingerprint}


@torch.no_grad()
def _measure(
    model: nn.Module, x: Tensor, found: dict[str, list[Tensor]], generator: torch.Generator
) -> None:
    """Adds what every batch norm reads in `model(x)`, in eval mode: with running statistics, which stay as they are."""

    def note(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        h = inputs[0]
        rows = h if norm.layout == "NTC" else h.flatten(2).transpose(1, 2)  # (N, positions, C)
        position = torch.randint(rows.shape[1], (len(rows),), generator=generator)
        for name, values in (
            ("all", rows.flatten(0, 1)),
            ("one", rows[torch.arange(len(rows)), position]),
        ):
            variance, mean = torch.var_mean(values, dim=0)
            deviation = (norm.running_var + norm.eps).sqrt()
            found.setdefault(f"mean_{name}", []).append(
                (mean - norm.running_mean).abs() / deviation
            )
            found.setdefault(f"var_{name}", []).append(
                ((variance + norm.eps) / deviation.square() - 1).abs()
            )

    hooks = [m.register_forward_pre_hook(note) for m in model.modules() if isinstance(m, BatchNorm)]
    model.eval()
    model(x)
    model.train()
    for hook in hooks:
        hook.remove()
