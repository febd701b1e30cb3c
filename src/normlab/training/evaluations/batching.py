"""Evaluations of a trained network that ask what a sample's batch mates do to it, and to the gradient."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.training.evaluations.shift import predictions, whole_split
from normlab.training.running_statistics import batch_norms
from normlab.training.task import Task

BATCHES = (1, 2, 4, 16, 64, 256)
COMPOSITIONS = 20
IMAGES = 1000
GRADIENT_SAMPLES = 64
MICRO_BATCHES = (32, 8, 4, 2)


def flip_rate(predicted: Tensor) -> float:
    """Of predictions (compositions, n): how often a sample's class differs between two compositions."""
    count, n = predicted.shape
    same = torch.stack(
        [(predicted == predicted[i]).double().mean() for i in range(count)]
    ).mean()  # i = j included
    return float((1 - same) * count / (count - 1)) if n else 0.0


def train_mode(task: Task) -> dict[str, float]:
    """What a forgotten eval() does to 1,000 fixed test images in batches of B; nothing without batch statistics.

    `train_mode_flips_B`: how often a prediction differs between two of 20 random compositions of the batches;
    `train_mode_accuracy_B`, and `_sorted_16` for batches sorted by class; `eval_mode_flips_B`: share of predictions
    that differ from those in another order and batch, in eval mode; `eval_mode_accuracy`; `drifted_accuracy`: in eval
    mode again, after 500 single images in train mode have moved the running statistics.
    """
    if not batch_norms(task.model):
        return {}
    x, y = (values[:IMAGES] for values in whole_split(task.data, "test"))
    right = copy.deepcopy(task.model).eval()
    expected = predictions(right, x, bf16=task.bf16)
    metrics = {"eval_mode_accuracy": _share(expected == y)}
    generator = torch.Generator().manual_seed(task.cfg.seed)
    for size in BATCHES:
        wrong = copy.deepcopy(task.model).train()
        for layer in batch_norms(wrong):
            layer.ghost_batch = size  # the statistics of separate batches, in few calls
        predicted = []
        for _ in range(COMPOSITIONS if size > 1 else 2):
            order = torch.randperm(len(x), generator=generator).to(x.device)
            predicted.append(
                torch.empty_like(y).scatter_(
                    0, order, predictions(wrong, x[order], size, task.bf16)
                )
            )
        metrics[f"train_mode_flips_{size}"] = flip_rate(torch.stack(predicted))
        metrics[f"train_mode_accuracy_{size}"] = _share(torch.stack(predicted) == y)
        if size == 16:
            by_class = y.argsort(stable=True)
            correct = predictions(wrong, x[by_class], size, task.bf16) == y[by_class]
            metrics["train_mode_sorted_16_accuracy"] = _share(correct)
        order = torch.randperm(len(x), generator=generator).to(x.device)
        separate = torch.cat(
            [predictions(right, part, bf16=task.bf16) for part in x[order].split(size)]
        )
        metrics[f"eval_mode_flips_{size}"] = _share(separate != expected[order])
    wrong = copy.deepcopy(task.model).train()
    for layer in batch_norms(wrong):
        layer.ghost_batch = None
    for image in x[:500].split(1):
        predictions(wrong, image, bf16=task.bf16)
    metrics["drifted_accuracy"] = _share(predictions(wrong.eval(), x, bf16=task.bf16) == y)
    return metrics


def accumulation(task: Task) -> dict[str, float]:
    """The gradient of 64 training images accumulated over micro-batches, against that of all 64 at once.

    In float64: `accumulation_error_m` = |difference| / |gradient|, and `accumulation_cosine_m`, micro-batches of m.
    """
    model = copy.deepcopy(task.model).double().train()
    for layer in batch_norms(model):
        layer.ghost_batch = None
    x, y = (values[:GRADIENT_SAMPLES] for values in whole_split(task.data, "train"))
    whole = gradient(model, x.double(), y, len(x))
    metrics = {}
    for size in MICRO_BATCHES:
        parts = gradient(model, x.double(), y, size)
        metrics[f"accumulation_error_{size}"] = float((parts - whole).norm() / whole.norm())
        metrics[f"accumulation_cosine_{size}"] = float(torch.cosine_similarity(parts, whole, dim=0))
    return metrics


def gradient(model: nn.Module, x: Tensor, y: Tensor, size: int) -> Tensor:
    """Gradient of the mean loss over `x`, accumulated over micro-batches of `size` (which divides it): one vector."""
    model.zero_grad()
    for part, targets in zip(x.split(size), y.split(size), strict=True):
        (F.cross_entropy(model(part), targets) * (len(part) / len(x))).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def _share(values: Tensor) -> float:
    return float(values.double().mean())
