"""Probes: what a network looks like inside while it trains. Off unless asked for.

Each looks at a copy of the model once per chunk, so the run itself is the same with and without it.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normlab.config.schema import Probe
from normlab.training.lightning import L
from normlab.training.loggers import log_histograms
from normlab.training.step import loss_of
from normlab.training.task import Task

_WEIGHTED = (nn.Conv2d, nn.Linear)
_VALUES = 10_000  # of a tensor at most make its histogram: more would show the same


class ProbeCallback(L.Callback):
    """Fills `rows`: {probe, step, and per depth one value for each layer in forward order}.

    `values` is what a layer's numbers were made of at the last look, for the histograms of loggers
    that have some.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.values: dict[str, Tensor] = {}

    def keep(self, name: str, tensor: Tensor) -> None:
        """Note the values of layer `name` for its histogram."""
        flat = tensor.detach().flatten()
        # Every k-th value, k rounded up: no draw, so that no random state moves.
        self.values[name] = flat[:: -(-len(flat) // _VALUES)].float().cpu()

    def on_train_batch_end(self, trainer: L.Trainer, task: L.LightningModule, *_: Any) -> None:
        assert isinstance(task, Task)
        # The same batch at every look, so that a curve shows the network and not its samples.
        x, y = task.training_setup.data.batch(0)
        # A copy: gradients, hooks and the update of running statistics must not reach the run.
        row = self.measure(copy.deepcopy(task.model).train(), x, y)
        self.rows.append({"step": task.step, **row})
        probe, layers = row["probe"], row["layers"]
        for logger in task.loggers:
            for key in row.keys() - {"probe", "layers"}:
                tags = [f"{probe}/{key}/{layer}" for layer in layers]
                logger.log_metrics(dict(zip(tags, row[key], strict=True)), step=task.step)
            values = {f"{probe}/histogram/{name}": value for name, value in self.values.items()}
            log_histograms(logger, values, task.step)

    def measure(self, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
        """A row: the probe's name, the names of the layers, and values for each of them."""
        raise NotImplementedError  # every probe below has its own


class GradientNorm(ProbeCallback):
    """L2 norm of the loss gradient of every weight, one batch, train mode.

    Of a reparametrized layer, that of the weight which the layer applies.
    """

    def measure(self, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
        layers = [(name, m) for name, m in model.named_modules() if isinstance(m, _WEIGHTED)]
        # A reparametrized weight is computed at every look: cached, it is the one that the forward
        # pass reads, and keeps a gradient if asked to.
        with parametrize.cached():
            weights = {name: module.weight for name, module in layers}
            for weight in weights.values():
                weight.retain_grad()
            loss_of(model, x, y).backward()
        norms = {}
        for name, weight in weights.items():
            norms[name] = 0.0 if weight.grad is None else float(weight.grad.norm())
            if weight.grad is not None:
                self.keep(name, weight.grad)
        return {"probe": "gradient_norm", "layers": list(norms), "norm": list(norms.values())}


class Activations(ProbeCallback):
    """Mean and variance of every convolution's and linear layer's output, over the whole tensor.

    Of the layers that are called: an LSTM applies its matrices as functions, and has no row.
    """

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
    """How far running statistics are from this batch's, per norm layer that keeps them.

    The median over channels of

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
                h = inputs[0].float()
                axes = [0, 2, 3] if h.dim() == 4 else list(range(h.dim() - 1))
                # Unbiased, as running variances are.
                variance, mean = torch.var_mean(h, dim=axes)
                variance = variance.clamp_min(1e-12)
                drift = (module.running_mean - mean).abs() / variance.sqrt()
                self.keep(name, drift)
                row["layers"].append(name)
                row["mean_drift"].append(float(drift.median()))
                row["variance_ratio"].append(float((module.running_var / variance).median()))

            return note

        for name, module in model.named_modules():
            if getattr(module, "running_mean", None) is not None:
                # Before the layer's own update in this very pass.
                module.register_forward_pre_hook(hook(name))
        model(x)
        return row


_PROBES: dict[Probe, type[ProbeCallback]] = {
    Probe.gradient_norm: GradientNorm,
    Probe.activations: Activations,
    Probe.running_stats: RunningStats,
}


def build_probes(wanted: Sequence[Probe]) -> list[ProbeCallback]:
    """The callbacks that `probes=[...]` names."""
    return [_PROBES[probe]() for probe in wanted]
