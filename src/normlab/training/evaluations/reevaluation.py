"""Evaluations of a trained network with other statistics, contrasts and images than its own."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from normlab.data import Dataset, load_data
from normlab.errors import NormLabError
from normlab.training.running_statistics import batch_norms, re_estimate
from normlab.training.setup import Setup
from normlab.training.step import evaluate


def statistics(setup: Setup) -> dict[str, float]:
    """Test accuracy and loss with other statistics than the running ones.

    `batch`: of the test batch itself, in groups of the size that training used; `instance`: of each
    sample. Nothing for a model without running statistics, and of groups that leave a statistic one
    value.
    """
    metrics: dict[str, float] = {}
    layers = batch_norms(setup.model)
    if not layers or not all(hasattr(layer, "statistics") for layer in layers):
        return metrics  # BatchRenorm evaluates with running statistics only
    size = setup.cfg.normalization_batch
    for name in ("batch", "instance"):
        model = copy.deepcopy(setup.model)
        for layer in batch_norms(model):
            layer.statistics, layer.ghost_batch = name, size
        try:
            loss, accuracy = evaluate(model, setup.data.eval_batches("test"), setup.bf16)
        except NormLabError:  # one value per statistic, as a row by itself has: nothing to measure
            continue
        metrics |= {f"{name}_test_loss": loss, f"{name}_test_accuracy": accuracy}
    return metrics


def precise(setup: Setup) -> dict[str, float]:
    """`precise_test_accuracy` and loss: with running statistics averaged anew (Wu & Johnson 2021).

    Over the training batches of an epoch, which are put together to 500 samples or more. These are
    augmented as in training: padding alone changes the statistics of small images, and a network
    that is normalized with those of unaugmented images does worse than with its noisy running ones.
    Nothing for a model without running statistics.
    """
    if not batch_norms(setup.model):
        return {}
    model = copy.deepcopy(setup.model)
    re_estimate(model, large_batches(setup.data, 500), bf16=setup.bf16)
    loss, accuracy = evaluate(model, setup.data.eval_batches("test"), setup.bf16)
    return {"precise_test_loss": loss, "precise_test_accuracy": accuracy}


def large_batches(data: Dataset, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The training batches of one epoch, as many put together as make `size` samples.

    What is left at the end makes none, unless the whole epoch has fewer.
    """
    xs: list[Tensor] = []
    ys: list[Tensor] = []
    whole = False
    for step in range(data.steps_per_epoch):
        x, y = data.batch(step)
        xs.append(x)
        ys.append(y)
        if sum(map(len, ys)) >= size:
            yield torch.cat(xs), torch.cat(ys)
            xs, ys, whole = [], [], True
    if not whole:  # statistics of nothing would be mean 0 and variance 1
        yield torch.cat(xs), torch.cat(ys)


CONTRASTS = (0.25, 0.5, 1.0, 2.0)


@torch.no_grad()
def contrast(setup: Setup) -> dict[str, float]:
    """`contrast_accuracy`: of how many test images the last features tell the contrast.

    Each image is multiplied by one of four contrasts, drawn per image, and the contrast is the
    label of a linear probe (ridge regression on one-hot labels, fitted on the validation split).
    Chance is 0.25.
    """
    # What the head reads are the last features. The hook stays on the copy.
    model: Any = copy.deepcopy(setup.model).eval()  # every image model ends in `head`
    features: list[Tensor] = []
    model.head.register_forward_pre_hook(lambda head, inputs: features.append(inputs[0]))
    generator = torch.Generator().manual_seed(setup.cfg.seed)

    def probe_data(split: str) -> tuple[Tensor, Tensor]:
        features.clear()
        labels = []
        for x, _ in setup.data.eval_batches(split):
            label = torch.randint(len(CONTRASTS), (len(x),), generator=generator)
            labels.append(label)
            model(x * torch.tensor(CONTRASTS)[label].view(-1, 1, 1, 1).to(x))
        return torch.cat(features).double().cpu(), torch.cat(labels)

    x, label = probe_data("val")
    # Of the validation split alone: the test split is standardised by them, not by its own.
    mean, scale = x.mean(0), x.std(0).clamp_min(1e-12)

    def design(x: Tensor) -> Tensor:
        return torch.cat([(x - mean) / scale, torch.ones(len(x), 1).double()], dim=1)

    a = design(x)
    targets = nn.functional.one_hot(label, len(CONTRASTS)).double()
    # The ridge grows with the samples, so that it is as strong on a split of any size.
    weights = torch.linalg.solve(
        a.T @ a + 1e-3 * len(a) * torch.eye(a.shape[1]).double(), a.T @ targets
    )
    x, label = probe_data("test")
    return {"contrast_accuracy": float(((design(x) @ weights).argmax(1) == label).double().mean())}


def whole_test(setup: Setup) -> dict[str, float]:
    """Loss and accuracy on the whole test split, whatever `data.eval_subset` says.

    `whole_test_accuracy` is for effects of a point and less: of two nets that disagree on 4 of 10
    images, 2,000 images alone give the paired difference a standard deviation of 1.4 points.
    """
    cfg = replace(setup.cfg.data, eval_subset=None)
    device = next(setup.model.parameters()).device
    channels_last = setup.cfg.trainer.channels_last
    data = load_data(cfg, setup.cfg.seed, device, channels_last=channels_last)
    loss, accuracy = evaluate(setup.model, data.eval_batches("test"), setup.bf16)
    return {"whole_test_loss": loss, "whole_test_accuracy": accuracy}
