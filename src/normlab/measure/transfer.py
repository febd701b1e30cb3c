"""A trained BatchNorm network that is fine-tuned on few labelled images of another domain."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.measure.rates import best_rate
from normlab.training.evaluations.corruptions import corrupt
from normlab.training.evaluations.shift import predictions, whole_split
from normlab.training.optim import parameters_by_role
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import Setup

DOMAINS = {"fog": 2, "noise": 2}  # corruptions and their severities
LABELLED, CHECKED = 500, 1000  # images to train on, and to choose the rate by
RATES = (0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True)
class Way:
    """How a network is fine-tuned, by SGD.

    trained: `head`, the last linear layer; `norms`, and the gains and shifts of all norms; `all`.
    live: batch norms in train mode: statistics of the batch, which move the running ones by
    `momentum`; else the running ones of the source, as they are.
    """

    trained: str
    live: bool
    batch: int
    momentum: float = 0.1


@dataclass(frozen=True)
class Domain:
    """Images (n, C, H, W) and classes (n,) to train on, to choose by, and to test on."""

    labelled: tuple[Tensor, Tensor]
    checked: tuple[Tensor, Tensor]
    tested: tuple[Tensor, Tensor]


def domain(setup: Setup, corruption: str, severity: int) -> Domain:
    """The validation and test images of `setup` under a corruption.

    The network has seen none of them in training. Labelled are the first `LABELLED` of the
    validation split, or half of it where it is small, and the next `CHECKED` choose the rate.
    """
    x, y = whole_split(setup.data, "val")
    x = corrupt(x, corruption, severity)
    n = min(LABELLED, len(y) // 2)
    tested, classes = whole_split(setup.data, "test")
    return Domain(
        (x[:n], y[:n]),
        (x[n : n + CHECKED], y[n : n + CHECKED]),
        (corrupt(tested, corruption, severity), classes),
    )


def fine_tuned(
    model: nn.Module, way: Way, x: Tensor, y: Tensor, rate: float, epochs: float, seed: int
) -> nn.Module:
    """A copy of `model`, trained on x (n, C, H, W) and y (n,), and in eval mode afterwards.

    Batches are whole, or all of x where it is smaller, in an order that is drawn for each epoch;
    momentum 0.9, no weight decay, the rate falls to zero along a cosine.
    """
    model = copy.deepcopy(model)
    parameters = _trained(model, way.trained)
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    for layer in batch_norms(model):
        layer.momentum = way.momentum
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True)
    each = max(1, len(y) // way.batch)
    steps = max(1, round(epochs * each))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(seed)
    model.train(way.live)
    for step in range(steps):
        if step % each == 0:
            order = torch.randperm(len(y), generator=generator)
        now = order[step % each * way.batch :][: way.batch]
        optimizer.zero_grad()
        F.cross_entropy(model(x[now]), y[now]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def transfer(
    setup: Setup, ways: Mapping[str, Way], domains: Mapping[str, int], epochs: float, seed: int
) -> dict[str, float]:
    """Means over `domains`, as trained (`before`) and after fine-tuning in each of `ways`.

    `NAME_target_accuracy`: of the test images of the domain; `NAME_source_accuracy`: of the test
    images as they are. Each way in each domain has the rate with the best accuracy on `checked`.

    domains: severities by corruption; 0 is the domain that the network was trained on.
    """
    scores: dict[str, list[float]] = {}
    source = whole_split(setup.data, "test")

    def test(name: str, model: nn.Module, target: tuple[Tensor, Tensor]) -> None:
        for where, images in (("target", target), ("source", source)):
            scores.setdefault(f"{name}_{where}_accuracy", []).append(accuracy(model, *images))

    for corruption, severity in domains.items():
        images = domain(setup, corruption, severity)
        test("before", setup.model, images.tested)
        for name, way in ways.items():
            test(name, tuned_at_best_rate(setup.model, way, images, epochs, seed), images.tested)
    return {name: sum(values) / len(values) for name, values in scores.items()}


def tuned_at_best_rate(
    model: nn.Module, way: Way, images: Domain, epochs: float, seed: int
) -> nn.Module:
    """`fine_tuned` at the rate of `RATES`, or beyond, with the best accuracy on `checked`."""

    def attempt(rate: float) -> tuple[float, nn.Module]:
        tuned = fine_tuned(model, way, *images.labelled, rate, epochs, seed)
        return accuracy(tuned, *images.checked), tuned

    best: nn.Module = best_rate(attempt, RATES).kept
    return best


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of x (n, C, H, W) that `model` gives the class y (n,), in eval mode."""
    return float((predictions(model.eval(), x) == y).double().mean())


def _trained(model: nn.Module, what: str) -> Sequence[nn.Parameter]:
    if what == "all":
        return list(model.parameters())
    head = list(model.get_submodule("head").parameters())
    return head if what == "head" else [*head, *parameters_by_role(model)["norm"]]
