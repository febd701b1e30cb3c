"""Probes: what a network looks like inside while it trains. Off unless asked for.

Each looks at a copy of the model once per chunk, so the run itself is the same with and without it.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from normlab.training.lightning import L
from normlab.training.loggers import log_histograms
from normlab.training.step import loss_of
from normlab.training.task import Task

_WEIGHTED = (nn.Conv2d, nn.Linear)
_VALUES = 10_000  # of a tensor at most make its histogram: more would show the same


class ProbeCallback(L.Callback):
    """Fills `rows`: {probe, step, and per depth one value for each layer in forward order}.

    `values` is what a layer's numbers were made of at the last look, for the histograms of loggers that have some.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.values: dict[str, Tensor] = {}

    def keep(self, name: str, tensor: Tensor) -> None:
        flat = tensor.detach().flatten()
        self.values[name] = flat[:: -(-len(flat) // _VALUES)].float().cpu()

    def on_train_batch_end(self, trainer: L.Trainer, task: Task, *_: Any) -> None:  # type: ignore[override]
        x, y = task.data.batch(0)
        model = copy.deepcopy(task.model).train()
        row = self.measure(model, x, y)
        self.rows.append({"step": task.step, **row})
        for logger in task.loggers:
            for key in row.keys() - {"probe", "layers"}:
                values = {
                    f"{row['probe']}/{key}/{name}": v
                    for name, v in zip(row["layers"], row[key], strict=True)
                }
                logger.log_metrics(values, step=task.step)
            tagged = {
                f"{row['probe']}/histogram/{name}": tensor for name, tensor in self.values.items()
            }
            log_histograms(logger, tagged, task.step)

    def measure(self, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
        raise NotImplementedError  # every probe below has its own


class GradientNorm(ProbeCallback):
    """L2 norm of the loss gradient of every weight, one batch, train mode."""

    def measure(self, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
        loss_of(model, x, y).backward()
        layers = [
            (name, module)
            for name, module in model.named_modules()
            if isinstance(module, _WEIGHTED)
        ]
        for name, module in layers:
            if module.weight.grad is not None:
                self.keep(name, module.weight.grad)
        norms = [
            float(module.weight.grad.norm()) if module.weight.grad is not None else 0.0
            for _, module in layers
        ]
        return {"probe": "gradient_norm", "layers": [name for name, _ in layers], "norm": norms}


class Activations(ProbeCallback):
    """Mean and variance of every convolution's and linear layer's output, over the whole tensor."""

    @torch.no_grad()
    def measure(self, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
        row: dict[str, Any] = {"probe": "activations", "layers": [], "mean": [], "variance": []}

        def hook(name: str) -> Any:
            def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
                variance, mean = torch.var_mean(output.float(), correction=0)
                self.keep(name, output)
                row["layers"].append(name)
                row["mean"].append(float(mean))
                row["variance"].append(float(variance))

            return note

        for name, module in model.named_modules():
            if isinstance(module, _WEIGHTED):
                module.register_forward_hook(hook(name))
        model(x)
        return row


class RunningStats(ProbeCallback):
    """How far running statistics are from this batch's, per norm layer that keeps them, median over channels.

    `mean_drift` = |running_mean - batch mean| / batch standard deviation,
    `variance_ratio` = running_var / batch variance.
    """

    @torch.no_grad()
    def measure(self, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
        row: dict[str, Any] = {
            "probe": "running_stats",
            "layers": [],
            "mean_drift": [],
            "variance_ratio": [],
        }

        def hook(name: str) -> Any:
            def note(module: Any, inputs: tuple[Tensor, ...]) -> None:
                axes = [0, 2, 3] if inputs[0].dim() == 4 else list(range(inputs[0].dim() - 1))
                variance, mean = torch.var_mean(inputs[0].float(), dim=axes)
                drift = (module.running_mean - mean).abs() / variance.clamp_min(1e-12).sqrt()
                self.keep(name, drift)
                row["layers"].append(name)
                row["mean_drift"].append(float(drift.median()))
                row["variance_ratio"].append(
                    float((module.running_var / variance.clamp_min(1e-12)).median())
                )

            return note

        for name, module in model.named_modules():
            if getattr(module, "running_mean", None) is not None:
                module.register_forward_pre_hook(hook(name))
        model(x)
        return row


_PROBES = {"gradient_norm": GradientNorm, "activations": Activations, "running_stats": RunningStats}


def build_probes(names: list[Any]) -> list[ProbeCallback]:
    """The callbacks that `probes=[...]` names."""
    return [_PROBES[name.value]() for name in names]
