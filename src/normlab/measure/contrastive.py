"""A network trained to tell which two views are of one image, and what batch norm gives away."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.config.compose import compose
from normlab.data import Dataset
from normlab.measure.rates import best_rate
from normlab.training.evaluations.shift import whole_split
from normlab.training.setup import Setup, set_up

OUTPUTS, QUEUE = 64, 1024  # of an embedding; keys of earlier batches
TEMPERATURE, MOMENTUM = 0.1, 0.99
COMPARED = 1024  # images of the validation split
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Pair:
    """The network of the queries, its moving average that makes the keys, and the losses of the
    training (steps,)."""

    setup: Setup
    keys: nn.Module
    losses: Tensor

    @property
    def queries(self) -> nn.Module:
        return self.setup.model


def views(x: Tensor, generator: torch.Generator) -> Tensor:
    """A random view of each image (N, C, H, W): a crop of 60 to 100 % of its side at a random
    place, resized, mirrored or not, with another contrast, and another brightness of each channel.

    Images have zero mean and unit variance, of which contrast and brightness are up to 0.4.
    """
    n, channels = x.shape[:2]

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    size = 0.8 + 0.2 * uniform(n)
    place = uniform(n, 2) * (1 - size)[:, None]
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    zeros = torch.zeros(n)
    rows = [torch.stack([size * mirror, zeros, place[:, 0]], 1)]
    rows.append(torch.stack([zeros, size, place[:, 1]], 1))
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    crops = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    contrast = 1 + 0.4 * uniform(n, 1, 1, 1)
    return crops * contrast + 0.4 * uniform(n, channels, 1, 1)


def embed(net: nn.Module, x: Tensor, order: Tensor | None = None) -> Tensor:
    """Embeddings of length 1, (N, OUTPUTS), of images (N, C, H, W).

    order: a permutation (N,) in which they go through the network, and after which they come back
    into their own: another company for norms over a batch (He et al. 2020, section 3.3).
    """
    if order is None:
        return F.normalize(net(x), dim=1)
    return F.normalize(net(x[order]), dim=1)[order.argsort()]


def with_embedding(model: nn.Module, input_shape: tuple[int, ...] = ()) -> None:
    """Puts a linear layer to `OUTPUTS` numbers in the place of the classes'."""
    head = model.get_submodule("head")
    assert isinstance(head, nn.Linear)
    model.add_module("head", nn.Linear(head.in_features, OUTPUTS))


def train(overrides: Sequence[str], shuffled: bool, seed: int) -> Pair:
    """Momentum contrast (He et al. 2020): a query (N, OUTPUTS) against its key and a queue of keys.

        loss = -log(exp(q k / t) / (exp(q k / t) + sum over the queue of exp(q k' / t)))

    Keys are of a moving average of the network, in train mode and without a gradient; the queue is
    of earlier batches. shuffled: the keys' images go through it in another order than the queries'.
    """
    setup = set_up(compose([*overrides, f"seed={seed}"]), adapt=with_embedding)
    queries, keys = setup.model.train(), copy.deepcopy(setup.model).train()
    draw = torch.Generator().manual_seed(seed)
    queue = F.normalize(torch.randn(QUEUE, OUTPUTS, generator=draw), dim=1)
    losses = []
    for step in range(setup.steps):
        x, _ = setup.data.batch(step)
        first, second = views(x, draw), views(x, draw)
        with torch.no_grad():
            for slow, fast in zip(keys.parameters(), queries.parameters(), strict=True):
                slow.lerp_(fast, 1 - MOMENTUM)
            order = torch.randperm(len(x), generator=draw) if shuffled else None
            key = embed(keys, second, order)
        query = embed(queries, first)
        own = (query * key).sum(1, keepdim=True)
        logits = torch.cat([own, query @ queue.T], 1) / TEMPERATURE
        loss = F.cross_entropy(logits, torch.zeros(len(x), dtype=torch.long))
        for group in setup.optimizer.param_groups:
            group["lr"] = setup.rate(step)
        setup.optimizer.zero_grad()
        loss.backward()
        setup.optimizer.step()
        queue = torch.cat([key, queue])[:QUEUE]
        losses.append(loss.detach())
    queries.eval()
    return Pair(setup, keys, torch.stack(losses))


@torch.no_grad()
def given_away(pair: Pair, seed: int) -> float:
    """By how many nats it is easier to find the key of an image among those of all others if its
    norms saw it in the company of the query's.

    Of images of the validation split, in train mode, batches as in training: the loss with keys in
    a random order minus that with keys in the order of the queries. 0 for norms of a sample.
    """
    size = pair.setup.cfg.data.batch_size
    x, _ = whole_split(pair.setup.data, "val")
    n = max(size, min(COMPARED, len(x)) // size * size)
    draw = torch.Generator().manual_seed(seed)
    first, second = views(x[:n], draw), views(x[:n], draw)
    order = torch.randperm(n, generator=draw)
    queries, keys = (copy.deepcopy(net).train() for net in (pair.queries, pair.keys))

    def through(net: nn.Module, images: Tensor) -> Tensor:
        return torch.cat([embed(net, part) for part in images.split(size)])

    query, same = through(queries, first), through(keys, second)
    other = through(keys, second[order])[order.argsort()]
    targets = torch.arange(len(query))
    losses = [F.cross_entropy(query @ key.T / TEMPERATURE, targets) for key in (other, same)]
    return float(losses[0] - losses[1])


def probe(net: nn.Module, data: Dataset) -> tuple[float, float]:
    """Accuracy on the validation and the test split of a linear classifier of the pooled features.

    Ridge regression on one-hot classes, from all training images, in eval mode; its penalty is
    chosen on the validation split.
    """
    split = {name: _features(net, data, name) for name in ("train", "val", "test")}
    x, y = split["train"]
    mean, deviation = x.mean(0), x.std(0).clamp_min(1e-6)
    scaled = {name: _with_one((one - mean) / deviation) for name, (one, _) in split.items()}
    targets = F.one_hot(y, data.num_outputs).double()
    gram = scaled["train"].T @ scaled["train"] / len(y)
    moments = scaled["train"].T @ targets / len(y)
    best = (-math.inf, 0.0)
    for ridge in RIDGES:
        weights = torch.linalg.solve(gram + ridge * torch.eye(len(gram)).double(), moments)
        scores = [
            float(((scaled[name] @ weights).argmax(1) == split[name][1]).double().mean())
            for name in ("val", "test")
        ]
        best = max(best, (scores[0], scores[1]), key=lambda pair: pair[0])
    return best


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)


@torch.no_grad()
def _features(net: nn.Module, data: Dataset, split: str) -> tuple[Tensor, Tensor]:
    """Pooled maps (n, channels) in float64, and classes (n,)."""
    body = net.get_submodule("features")
    xs, ys = [], []
    for x, y in data.eval_batches(split):
        xs.append(body(x).mean(dim=(2, 3)).double())
        ys.append(y)
    return torch.cat(xs), torch.cat(ys)


def contrastive(
    options: Mapping[str, Any],
    arm: Sequence[str],
    shuffled: bool,
    seed: int,
    tuned: bool | None = None,
) -> tuple[dict[str, float], Setup]:
    """Trains at the rate with the best probe on the validation split, and measures.

    tuned: whether keys are shuffled where the rate is chosen; None: as in the training. Without
    shuffling, the best probe is that of the rate at which a network cheats least.

    `pretext_loss`: nats, mean over the last tenth of the steps; `trivial_loss`: of a network that
    ignores its input. `probe_accuracy`: of the test split. `given_away`: see there; 0 where it is
    not finite, after a training that diverged. options: those of
    `normlab.claims.protocols.own_rates`.
    """
    choosing = shuffled if tuned is None else tuned

    def at(rate: float, budget: Sequence[str], order: bool) -> Pair:
        overrides = (*options["overrides"], *arm, *budget, f"optim.lr={rate}")
        return train(overrides, order, seed)

    def attempt(rate: float) -> tuple[float, Pair]:
        pair = at(rate, options["choice"], choosing)
        finite = bool(pair.losses[-1].isfinite())
        return probe(pair.queries, pair.setup.data)[0] if finite else -math.inf, pair

    found = best_rate(attempt, options["rates"], extend=options["extend"])
    again = bool(options["choice"]) or choosing != shuffled
    pair: Pair = at(found.rate, (), shuffled) if again else found.kept
    last = pair.losses[-max(1, len(pair.losses) // 10) :]
    away = given_away(pair, seed)
    metrics = {
        "pretext_loss": float(last.mean()),
        "probe_accuracy": probe(pair.queries, pair.setup.data)[1],
        "given_away": away if math.isfinite(away) else 0.0,
        "trivial_loss": math.log(1 + QUEUE),
        "rate": found.rate,
    }
    return metrics, pair.setup
