"""Evaluations of a trained network: what a sample's batch mates do to it, and to the gradient."""

import copy
from contextlib import suppress

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.training.evaluations.shift import predictions, whole_split
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import Setup

BATCHES = (1, 2, 4, 16, 64, 256)
COMPOSITIONS = 3
EXACT_IMAGES = 1000  # of what is an identity, and no share
DRIFT_IMAGES = 500
GRADIENT_SAMPLES = 64
MICRO_BATCHES = (32, 8, 4, 2)


def flip_rate(predicted: Tensor) -> float:
    """How often a sample's class differs between two of its predictions (compositions, n)."""
    count, n = predicted.shape
    same = torch.stack(
        [(predicted == predicted[i]).double().mean() for i in range(count)]
    ).mean()  # i = j included
    return float((1 - same) * count / (count - 1)) if n else 0.0


def train_mode(setup: Setup) -> dict[str, float]:
    """What a forgotten eval() does to the test images in batches of B.

    `train_mode_flips_B`: how often a prediction differs between two of 3 random compositions of the
    batches; `train_mode_accuracy_B`, and `_sorted_16` for batches sorted by class;
    `eval_mode_flips_B`: share of 1,000 predictions that differ from those in another order and
    batch, in eval mode; `eval_mode_accuracy`; `drifted_accuracy`: in eval mode again, after 500
    single images in train mode have moved the running statistics. Nothing without batch statistics,
    or where the layers cannot be told the batch, and none of batches that leave a statistic one
    value.
    """
    layers = batch_norms(setup.model)
    if not layers or not all(hasattr(layer, "ghost_batch") for layer in layers):
        return {}
    x, y = whole_split(setup.data, "test")
    right = copy.deepcopy(setup.model).eval()
    expected = predictions(right, x, bf16=setup.bf16)
    metrics = {"eval_mode_accuracy": _share(expected == y)}
    generator = torch.Generator().manual_seed(setup.cfg.seed)
    for size in BATCHES:
        with suppress(NormLabError):  # one value per statistic: nothing to measure
            metrics |= _in_batches(setup, x, y, size, generator)
        # Real batches: in eval mode nothing but the size of a call could make a difference.
        order = torch.randperm(min(len(x), EXACT_IMAGES), generator=generator).to(x.device)
        batches = x[order].split(size)
        separate = torch.cat([predictions(right, batch, bf16=setup.bf16) for batch in batches])
        metrics[f"eval_mode_flips_{size}"] = _share(separate != expected[order])
    wrong = _in_train_mode(setup.model, ghost_batch=None)
    with suppress(NormLabError):
        for image in x[:DRIFT_IMAGES].split(1):
            predictions(wrong, image, bf16=setup.bf16)
        metrics["drifted_accuracy"] = _share(predictions(wrong.eval(), x, bf16=setup.bf16) == y)
    return metrics


def _in_batches(
    setup: Setup, x: Tensor, y: Tensor, size: int, generator: torch.Generator
) -> dict[str, float]:
    """The metrics of train mode in batches of `size`."""
    wrong = _in_train_mode(setup.model, ghost_batch=size)  # separate batches, in few calls
    predicted = []
    # A batch of one image is the same in any order: two compositions show it.
    for _ in range(COMPOSITIONS if size > 1 else 2):
        order = torch.randperm(len(x), generator=generator).to(x.device)
        classes = predictions(wrong, x[order], size, bf16=setup.bf16)
        # Back to the order of x, so that compositions compare image by image.
        predicted.append(torch.empty_like(y).scatter_(0, order, classes))
    compositions = torch.stack(predicted)  # (compositions, images)
    metrics = {
        f"train_mode_flips_{size}": flip_rate(compositions),
        f"train_mode_accuracy_{size}": _share(compositions == y),
    }
    if size == 16:
        by_class = y.argsort(stable=True)
        correct = predictions(wrong, x[by_class], size, bf16=setup.bf16) == y[by_class]
        metrics["train_mode_sorted_16_accuracy"] = _share(correct)
    return metrics


def _in_train_mode(model: nn.Module, ghost_batch: int | None) -> nn.Module:
    """A copy whose batch norms have the statistics of groups of `ghost_batch`, None: of all."""
    model = copy.deepcopy(model).train()
    for layer in batch_norms(model):
        layer.ghost_batch = ghost_batch
    return model


def accumulation(setup: Setup) -> dict[str, float]:
    """The gradient of 64 training images accumulated over micro-batches, against that of all.

    In float64: `accumulation_error_m` = |difference| / |gradient|, and `accumulation_cosine_m`,
    micro-batches of m; none of those that leave a statistic one value.
    """
    # Whole calls share statistics: a micro-batch must have its own, whatever training used.
    model = _in_train_mode(setup.model, ghost_batch=None).double()
    x, y = (values[:GRADIENT_SAMPLES] for values in whole_split(setup.data, "train"))
    whole = gradient(model, x.double(), y, len(x))
    metrics = {}
    for size in MICRO_BATCHES:
        try:
            summed = gradient(model, x.double(), y, size)
        except NormLabError:
            continue
        metrics[f"accumulation_error_{size}"] = float((summed - whole).norm() / whole.norm())
        cosine = torch.cosine_similarity(summed, whole, dim=0)
        metrics[f"accumulation_cosine_{size}"] = float(cosine)
    return metrics


def gradient(model: nn.Module, x: Tensor, y: Tensor, size: int) -> Tensor:
    """Gradient of the mean loss over `x`, accumulated over micro-batches of `size`: one vector.

    `size` divides the number of samples.
    """
    model.zero_grad()
    for batch, targets in zip(x.split(size), y.split(size), strict=True):
        # By its share of the samples: the sum is then the gradient of the mean over all.
        (F.cross_entropy(model(batch), targets) * (len(batch) / len(x))).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def _share(values: Tensor) -> float:
    return float(values.double().mean())
