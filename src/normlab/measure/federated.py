"""Federated averaging over clients with different labels, and what it does with buffers."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from normlab.config.compose import compose
from normlab.data.options import ImageDataConfig
from normlab.errors import NormLabError
from normlab.measure.rates import best_rate
from normlab.training.evaluations.shift import predictions, whole_split
from normlab.training.optim import build_optimizer
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import Setup, set_up
from normlab.training.step import evaluate, loss_of

CLIENTS = 10
CONCENTRATION = 0.3  # of the Dirichlet distribution
SKEWS = ("iid", "dirichlet", "shards")

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Federation:
    """The averaged network, each client's share of the images, and each client's state after its
    last local training."""

    setup: Setup
    model: nn.Module
    shares: Sequence[Tensor]
    states: Sequence[State]


def partition(y: Tensor, skew: str, seed: int) -> list[Tensor]:
    """Indices of the images of each of `CLIENTS` clients, from classes y (n,).

    iid: drawn at random. dirichlet: of each class a share that is drawn from a Dirichlet
    distribution of 0.3 (Hsu et al. 2019). shards: two shards of 1/20 of the images sorted by class,
    so that a client has about two classes (McMahan et al. 2017).

    Raises:
        NormLabError: another name of a skew.
    """
    draw = np.random.default_rng(seed)
    if skew == "iid":
        parts = np.array_split(draw.permutation(len(y)), CLIENTS)
    elif skew == "shards":
        shards = np.array_split(y.argsort(stable=True).numpy(), 2 * CLIENTS)
        order = draw.permutation(2 * CLIENTS)
        parts = [np.concatenate([shards[i] for i in pair]) for pair in order.reshape(-1, 2)]
    elif skew == "dirichlet":
        parts = _dirichlet(y.numpy(), draw)
    else:
        raise NormLabError(f"no skew {skew!r}: choose one of {', '.join(SKEWS)}.")
    return [torch.from_numpy(np.sort(part)) for part in parts]


def _dirichlet(y: Any, draw: np.random.Generator) -> list[Any]:
    parts: list[list[Any]] = [[] for _ in range(CLIENTS)]
    for label in np.unique(y):
        own = draw.permutation(np.flatnonzero(y == label))
        ends = np.cumsum(draw.dirichlet([CONCENTRATION] * CLIENTS))[:-1]
        for part, piece in zip(parts, np.split(own, (ends * len(own)).astype(int)), strict=True):
            part.append(piece)
    return [np.concatenate(pieces) for pieces in parts]


def average(states: Sequence[State], sizes: Sequence[int]) -> dict[str, Tensor]:
    """The mean of states by the sizes of their clients: sum over k of n_k w_k / n (McMahan et al.
    2017), parameters and buffers alike; of whole numbers, which count batches, the largest."""
    total = sum(sizes)
    mean: dict[str, Tensor] = {}
    for name, first in states[0].items():
        values = [state[name] for state in states]
        if not first.is_floating_point():
            mean[name] = torch.stack(values).amax(0)
            continue
        terms = [value * (size / total) for value, size in zip(values, sizes, strict=True)]
        mean[name] = torch.stack(terms).sum(0)
    return mean


def local_training(
    model: nn.Module, setup: Setup, x: Tensor, y: Tensor, rate: float, draw: torch.Generator
) -> None:
    """One pass of the optimizer of `setup`, anew, over the images x (n, C, H, W) of a client, in
    whole batches; where the data are augmented, each image is mirrored or not."""
    optimizer = build_optimizer(setup.cfg.optim, model)
    for group in optimizer.param_groups:
        group["lr"] = rate
    cfg = setup.cfg.data
    chance = 0.5 if isinstance(cfg, ImageDataConfig) and cfg.augment and cfg.flip else 0.0
    size = cfg.batch_size
    order = torch.randperm(len(y), generator=draw)
    model.train()
    for step in range(max(1, len(y) // size)):
        now = order[step * size : (step + 1) * size]
        mirrored = torch.rand(len(now), generator=draw) < chance
        batch = torch.where(mirrored[:, None, None, None], x[now].flip(3), x[now])
        optimizer.zero_grad()
        loss_of(model, batch, y[now]).backward()
        optimizer.step()


def train(overrides: Sequence[str], skew: str, seed: int) -> Federation:
    """Federated averaging, all clients in each round, one local pass a round.

    There are as many rounds as the budget has epochs; the rate falls to zero along a cosine over
    the rounds. Every round begins with averaged parameters and buffers. What a client's buffers
    were before its local pass is gone from them after some tens of steps (of 15, a fifth is left:
    the smallest clients of a Dirichlet draw), so that the buffers of `states` are also those of
    clients that never share them.
    """
    setup = set_up(compose([*overrides, f"seed={seed}"]))
    x, y = whole_split(setup.data, "train")
    shares = [share for share in partition(y, skew, seed) if len(share) > 1]
    sizes = [len(share) for share in shares]
    draw = torch.Generator().manual_seed(seed)
    rounds = max(1, round(setup.steps / setup.data.steps_per_epoch))
    states: list[State] = []
    for done in range(rounds):
        rate = setup.cfg.optim.lr * 0.5 * (1 + math.cos(math.pi * done / rounds))
        states = []
        for share in shares:
            client = copy.deepcopy(setup.model)
            local_training(client, setup, x[share], y[share], rate, draw)
            states.append(client.state_dict())
        setup.model.load_state_dict(average(states, sizes))
    return Federation(setup, setup.model.eval(), shares, states)


def score(federation: Federation) -> float:
    """Accuracy of the average on the validation split, minus infinity where its loss is not finite.

    A finite loss above that of a network which ignores its input counts, too: an average of clients
    with few classes is often right above chance, and very sure where it is wrong.
    """
    setup = federation.setup
    loss, accuracy = evaluate(federation.model, setup.data.eval_batches("val"))
    return accuracy if math.isfinite(loss) else -math.inf


def with_buffers(model: nn.Module, state: State) -> nn.Module:
    """A copy of `model` in eval mode whose running statistics are those of `state`."""
    copied = copy.deepcopy(model)
    names = {name for name, _ in copied.named_buffers()}
    copied.load_state_dict({**copied.state_dict(), **{name: state[name] for name in names}})
    return copied.eval()


def accuracies(federation: Federation) -> dict[str, float]:
    """Of the test split, with averaged parameters.

    `test_accuracy`: with averaged buffers; `own_buffers_accuracy`: with each client's own, mean of
    the clients by their images; `first_buffers_accuracy`: with those that the network began with.
    `shared_classes_accuracy` and `own_classes_accuracy`: with averaged and with each client's own
    buffers, in the mixture of classes that the client has.
    """
    setup, model = federation.setup, federation.model
    x, y = whole_split(setup.data, "test")
    labels = whole_split(setup.data, "train")[1]
    classes = setup.data.num_outputs
    shared = (predictions(model, x) == y).double()
    sizes = [len(share) for share in federation.shares]
    own, own_mixed, shared_mixed = [], [], []
    for share, state in zip(federation.shares, federation.states, strict=True):
        correct = (predictions(with_buffers(model, state), x) == y).double()
        mixture = torch.bincount(labels[share], minlength=classes).double() / len(share)
        own.append(float(correct.mean()))
        own_mixed.append(_in_mixture(correct, y, mixture))
        shared_mixed.append(_in_mixture(shared, y, mixture))
    return {
        "test_accuracy": float(shared.mean()),
        "own_buffers_accuracy": float(np.average(own, weights=sizes)),
        "first_buffers_accuracy": float((predictions(_fresh(model), x) == y).double().mean()),
        "shared_classes_accuracy": float(np.average(shared_mixed, weights=sizes)),
        "own_classes_accuracy": float(np.average(own_mixed, weights=sizes)),
    }


def _in_mixture(correct: Tensor, y: Tensor, mixture: Tensor) -> float:
    """Accuracy if classes came in the shares of `mixture` (classes,); one without a test image
    counts as wrong."""
    counts = torch.bincount(y, minlength=len(mixture)).clamp_min(1)
    by_class = torch.bincount(y, weights=correct, minlength=len(mixture)) / counts
    return float((by_class * mixture).sum())


def _fresh(model: nn.Module) -> nn.Module:
    copied = copy.deepcopy(model)
    for layer in batch_norms(copied):
        layer.running_mean.zero_()
        layer.running_var.fill_(1)
    return copied.eval()


def federated(
    options: Mapping[str, Any], arm: Sequence[str], skew: str, seed: int
) -> tuple[dict[str, float], Setup]:
    """`accuracies` at the rate that this seed chooses by `score`.

    options: those of `normlab.claims.protocols.own_rates`.
    """

    def at(rate: float, budget: Sequence[str]) -> Federation:
        return train((*options["overrides"], *arm, *budget, f"optim.lr={rate}"), skew, seed)

    def attempt(rate: float) -> tuple[float, Federation]:
        federation = at(rate, options["choice"])
        return score(federation), federation

    found = best_rate(attempt, options["rates"], extend=options["extend"])
    trained: Federation = at(found.rate, ()) if options["choice"] else found.kept
    return {**accuracies(trained), "rate": found.rate}, trained.setup
