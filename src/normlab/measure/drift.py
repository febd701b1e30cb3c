"""Running statistics that follow a drifting stream, at several rates of update."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from normlab.training.evaluations.shift import whole_split
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import Setup

PERIODS = (20, 100, 500)  # of the drift, in batches
MOMENTA = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # 1: the statistics of the last batch alone
DEFAULT = 0.1  # that of libraries
BATCH = 8  # images
GAIN, SHIFT = 0.7, 1.0  # amplitudes: of the logarithm of the contrast, and of the brightness

Statistics = list[tuple[Tensor, Tensor]]  # mean (C,) and variance (C,) of each layer


def drifting_batches(
    x: Tensor, y: Tensor, period: int, batches: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """`batches` of `BATCH` images each, whose contrast and brightness drift; x (N, C, H, W).

    Batch t is exp(GAIN sin a) x + SHIFT cos a with a = 2 pi t / period + a start that is drawn. The
    images come in random order, and in another one each time that all have been seen.
    """
    start = 2 * math.pi * float(torch.rand((), generator=generator))
    order = torch.empty(0, dtype=torch.long)
    for step in range(batches):
        if len(order) < BATCH:
            order = torch.randperm(len(x), generator=generator)
        now, order = order[:BATCH], order[BATCH:]
        angle = 2 * math.pi * step / period + start
        yield math.exp(GAIN * math.sin(angle)) * x[now] + SHIFT * math.cos(angle), y[now]


@torch.no_grad()
def follow(
    model: nn.Module, stream: Iterator[tuple[Tensor, Tensor]], momenta: Sequence[float]
) -> dict[float, Tensor]:
    """For each momentum and for 0, which is no update, the share of right images by batch: (T,).

    Each batch goes through a copy of `model` in train mode, which gives its statistics s, and then,
    after running <- running + momentum (s - running), in eval mode, which predicts it.
    """
    model = copy.deepcopy(model)
    layers = batch_norms(model)
    for layer in layers:
        layer.momentum = 1.0  # after a call the running statistics are those of its batch
    rates = (0.0, *momenta)
    trained: Statistics = [(layer.running_mean.clone(), layer.running_var.clone())
                           for layer in layers]  # fmt: skip
    running: Mapping[float, Statistics] = {rate: copy.deepcopy(trained) for rate in rates}
    right: dict[float, list[Tensor]] = {rate: [] for rate in rates}
    for x, y in stream:
        model.train()
        model(x)
        batch = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in layers]
        model.eval()
        for rate in rates:
            for layer, ours, theirs in zip(layers, running[rate], batch, strict=True):
                for mine, new in zip(ours, theirs, strict=True):
                    mine.lerp_(new, rate)
                layer.running_mean.copy_(ours[0])
                layer.running_var.copy_(ours[1])
            right[rate].append((model(x).argmax(1) == y).double().mean())
    return {rate: torch.stack(shares) for rate, shares in right.items()}


def best_momentum(momenta: Sequence[float], accuracies: Sequence[float]) -> float:
    """Natural logarithm of the momentum at the top of the parabola through the best and its two
    neighbours, over the logarithm; of the best itself where that is the first or the last."""
    best = max(range(len(momenta)), key=accuracies.__getitem__)
    logs = [math.log(one) for one in momenta]
    if best in (0, len(momenta) - 1):
        return logs[best]
    left, middle, right = (accuracies[best + offset] for offset in (-1, 0, 1))
    a, b, c = (logs[best + offset] for offset in (-1, 0, 1))
    # Of Lagrange's polynomial through three points.
    over = (b - a) ** 2 * (middle - right) - (b - c) ** 2 * (middle - left)
    under = (b - a) * (middle - right) - (b - c) * (middle - left)
    return logs[best] if under == 0 else b - 0.5 * over / under


def rates_of_adaptation(setup: Setup, batches: int, seed: int) -> dict[str, float]:
    """What the momentum of running statistics does on a stream of test images, by period P.

    `log_best_P`: `best_momentum`, of all batches. Of every second batch, with the momentum that is
    best on the others, so that no number is of what chose it: `chosen_P_accuracy`; the same with
    `DEFAULT`, `default_P_accuracy`, and without an update, `fixed_P_accuracy`. `for_Q_P_accuracy`:
    on P with the momentum chosen for period Q, the longest and the shortest.
    """
    x, y = whole_split(setup.data, "test")
    metrics: dict[str, float] = {}
    shares, chosen = {}, {}
    for period in PERIODS:
        generator = torch.Generator().manual_seed(seed)
        stream = drifting_batches(x, y, period, batches, generator)
        shares[period] = follow(setup.model, stream, MOMENTA)
        of_all = [float(shares[period][rate].mean()) for rate in MOMENTA]
        metrics[f"log_best_{period}"] = best_momentum(MOMENTA, of_all)
        odd = [float(shares[period][rate][1::2].mean()) for rate in MOMENTA]
        chosen[period] = MOMENTA[max(range(len(MOMENTA)), key=odd.__getitem__)]
    for period in PERIODS:
        rates = {"chosen": chosen[period], "default": DEFAULT, "fixed": 0.0}
        even = {rate: float(share[::2].mean()) for rate, share in shares[period].items()}
        for name, rate in rates.items():
            metrics[f"{name}_{period}_accuracy"] = even[rate]
        for other in (PERIODS[0], PERIODS[-1]):
            metrics[f"for_{other}_{period}_accuracy"] = even[chosen[other]]
    return metrics
