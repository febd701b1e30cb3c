"""Evaluations of a trained network beyond its own: the same weights under other conditions, without training again.

`evaluations=[statistics]` adds the metrics of each to the record. Every one works on a copy of the model.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from normlab.training.step import evaluate
from normlab.training.task import Task


def batch_norms(model: nn.Module) -> list[Any]:
    """The layers of `model` that keep running statistics."""
    return [module for module in model.modules() if getattr(module, "running_mean", None) is not None]


@torch.no_grad()
def re_estimate(model: nn.Module, batches: Any, momentum: float | None = None, bf16: bool = False) -> None:
    """Replace running statistics, in place: their average over `batches` in train mode (`momentum` None: cumulative).

    With whole batches of some hundred samples this is the precise batch norm of Wu & Johnson 2021.
    """
    device_type = next(model.parameters()).device.type
    for layer in batch_norms(model):
        layer.running_mean.zero_()
        layer.running_var.fill_(1)
        layer.num_batches_tracked.zero_()
        layer.momentum, layer.ghost_batch = momentum, None
    model.train()
    with torch.autocast(device_type, torch.bfloat16, enabled=bf16):
        for x, _ in batches:
            model(x)
    model.eval()


def statistics(task: Task) -> dict[str, float]:
    """Test accuracy and loss with other statistics than the running ones; nothing for a model without any.

    `precise`: averaged over the training split in large batches; `batch`: of the test batch itself, in groups of the
    size that training used; `instance`: of each sample.
    """
    if not batch_norms(task.model):
        return {}
    metrics: dict[str, float] = {}
    size = task.cfg.norm.get("ghost_batch") or task.cfg.data.batch_size
    for name in ("precise", "batch", "instance"):
        model = copy.deepcopy(task.model)
        if name == "precise":
            re_estimate(model, task.data.eval_batches("train"), bf16=task.bf16)
        for layer in batch_norms(model) if name != "precise" else ():
            if not hasattr(layer, "statistics"):
                return metrics  # BatchRenorm evaluates with running statistics only
            layer.statistics, layer.ghost_batch = name, size
        loss, accuracy = evaluate(model, task.data.eval_batches("test"), task.bf16)
        metrics |= {f"{name}_test_loss": loss, f"{name}_test_accuracy": accuracy}
    return metrics


CONTRASTS = (0.25, 0.5, 1.0, 2.0)


@torch.no_grad()
def contrast(task: Task) -> dict[str, float]:
    """Share of test images whose contrast can be read from the trained network's last features: `contrast_accuracy`.

    Each image is multiplied by one of four contrasts, drawn per image, and the contrast is the label of a linear
    probe (ridge regression on one-hot labels, fitted on the validation split). Chance is 0.25.
    """
    model = copy.deepcopy(task.model).eval()
    features: list[Tensor] = []
    model.head.register_forward_pre_hook(lambda head, inputs: features.append(inputs[0]))
    generator = torch.Generator().manual_seed(task.cfg.seed)

    def probe_data(split: str) -> tuple[Tensor, Tensor]:
        features.clear()
        labels = []
        for x, _ in task.data.eval_batches(split):
            label = torch.randint(len(CONTRASTS), (len(x),), generator=generator)
            labels.append(label)
            model(x * torch.tensor(CONTRASTS)[label].view(-1, 1, 1, 1).to(x))
        return torch.cat(features).double().cpu(), torch.cat(labels)

    x, label = probe_data("val")
    mean, scale = x.mean(0), x.std(0).clamp_min(1e-12)

    def design(x: Tensor) -> Tensor:
        return torch.cat([(x - mean) / scale, torch.ones(len(x), 1).double()], dim=1)

    a = design(x)
    targets = nn.functional.one_hot(label, len(CONTRASTS)).double()
    weights = torch.linalg.solve(a.T @ a + 1e-3 * len(a) * torch.eye(a.shape[1]).double(), a.T @ targets)
    x, label = probe_data("test")
    return {"contrast_accuracy": float(((design(x) @ weights).argmax(1) == label).double().mean())}


EVALUATIONS: dict[str, Callable[[Task], dict[str, float]]] = {"contrast": contrast, "statistics": statistics}
