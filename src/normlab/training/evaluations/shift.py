"""Evaluations of a trained network on other data than its own: corrupted, and in unseen styles.

All images of a split are looked at together, so that a group of samples that share statistics can
be any of them.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from normlab.data import Dataset, load_data
from normlab.data.options import ImageDataConfig
from normlab.errors import NormLabError
from normlab.training.evaluations.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import Setup
from normlab.training.step import evaluate

UNSEEN_STYLES = tuple(range(1000, 1008))
ADAPTATION_SIZES = (256, 4, 1)  # samples that share statistics in an adapted network
CHUNK = 512  # images that go through the network at once


def whole_split(data: Dataset, split: str) -> tuple[Tensor, Tensor]:
    """x (n, C, H, W) and y (n,) of a split."""
    xs, ys = zip(*data.eval_batches(split), strict=True)
    return torch.cat(xs), torch.cat(ys)


@torch.inference_mode()
def predictions(model: nn.Module, x: Tensor, size: int = 1, *, bf16: bool = False) -> Tensor:
    """Classes (n,) in the mode that the model is in.

    The calls divide no group of `size` consecutive samples.
    """
    # Calls of about CHUNK samples bound the memory, whatever the split holds.
    chunks = x.split(max(1, CHUNK // size) * size)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
        return torch.cat([model(chunk).argmax(1) for chunk in chunks])


def corruptions(setup: Setup) -> dict[str, float]:
    """Test accuracy under each corruption and severity, and the means; nothing is adapted."""
    model = copy.deepcopy(setup.model).eval()
    x, y = whole_split(setup.data, "test")
    metrics: dict[str, float] = {}
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            correct = predictions(model, corrupt(x, name, severity), bf16=setup.bf16) == y
            metrics[f"{name}_{severity}_accuracy"] = float(correct.double().mean())
        at_severities = [metrics[f"{name}_{severity}_accuracy"] for severity in SEVERITIES]
        metrics[f"{name}_accuracy"] = _mean(at_severities)
    metrics["corrupted_accuracy"] = _mean([metrics[f"{name}_accuracy"] for name in CORRUPTIONS])
    return metrics


def adaptation(setup: Setup) -> dict[str, float]:
    """Test accuracy of a batch norm net on corrupted streams, with the stream's own statistics.

    Each group of N samples is predicted with its own statistics: the full adaptation of Schneider
    et al. 2020 (no weight on the source's statistics). `adapted_N`: groups of N in random order,
    means over all corruptions and severities; `adapted_sorted`: groups of 256 of a stream sorted by
    class; `adapted_mixed`: groups of 256 in which all corruptions and severities meet, and `mixed`
    the same stream without adaptation; `adapted_clean`: groups of 256 of the test split as it is.
    Nothing for a model without such layers, and of groups that leave a statistic one value.
    """
    model = copy.deepcopy(setup.model).eval()
    layers = batch_norms(model)
    if not layers or not all(hasattr(layer, "statistics") for layer in layers):
        return {}
    x, y = whole_split(setup.data, "test")
    by_class = y.argsort(stable=True)
    kinds = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    scores: dict[str, list[float]] = {}

    def score(name: str, x: Tensor, y: Tensor, size: int | None) -> None:
        for layer in layers:
            layer.statistics, layer.ghost_batch = "batch" if size else "running", size
        try:
            correct = predictions(model, x, size or 1, bf16=setup.bf16) == y
        except NormLabError:  # one value per statistic, as a row by itself has: nothing to measure
            return
        scores.setdefault(name, []).append(float(correct.double().mean()))

    mixed = x.clone()
    score("adapted_clean", x, y, 256)
    for index, kind in enumerate(kinds):
        shifted = corrupt(x, *kind)
        # Every kind in turn along the stream: a group of 256 meets all 24.
        mixed[index :: len(kinds)] = shifted[index :: len(kinds)]
        for size in ADAPTATION_SIZES:
            score(f"adapted_{size}", shifted, y, size)
        score("adapted_sorted", shifted[by_class], y[by_class], 256)
    score("mixed", mixed, y, None)
    score("adapted_mixed", mixed, y, 256)
    return {f"{name}_accuracy": _mean(values) for name, values in scores.items()}


def styles(setup: Setup) -> dict[str, float]:
    """`unseen_styles_accuracy`: of the test split in eight styles that no training used.

    See normlab.data.styles. Nothing for other data than images.
    """
    if not isinstance(setup.cfg.data, ImageDataConfig):
        return {}
    cfg = replace(setup.cfg.data, styles=list(UNSEEN_STYLES))
    device = next(setup.model.parameters()).device
    data = load_data(cfg, setup.cfg.seed, device, channels_last=setup.cfg.trainer.channels_last)
    _, accuracy = evaluate(setup.model, data.eval_batches("test"), setup.bf16)
    return {"unseen_styles_accuracy": accuracy}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
