"""What the claims about several processes measure, as each process of a gloo group runs it."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from normlab.models.plaincnn import PlainCNN
from normlab.norms import KINDS, make_norm
from normlab.records.measurement import Measurement
from normlab.training.processes import run_group
from normlab.training.running_statistics import batch_norms

# Imported once for all processes, with what the functions below import when they run.
PRELOAD = (__name__, "normlab.config.compose", "normlab.training.setup", "normlab.training.step")
SHIFT = 2.0  # standard deviations of the pixels, of what every further worker sees


def in_processes(function: Callable[..., Any], world_size: int, *arguments: Any) -> Any:
    """What `function`, of this module, returns in the first of `world_size` processes."""
    return run_group(function, world_size, *arguments, wait_s=60.0, preload=PRELOAD)[0]


def synced_layer(
    seed: int, dtype: str, counts: Sequence[int], kind: str = "syncbatchnorm"
) -> dict[str, float]:
    """A layer in processes that hold `counts` samples each, against BatchNorm on all of them in one
    process.

    Largest differences, relative to the largest value: `output`; gradients of `input`, `weight` and
    `bias`, the latter two summed over processes; running `mean` and `variance`; and the output in
    `eval` mode.
    """
    rank, generator = dist.get_rank(), torch.Generator().manual_seed(seed)
    n, c = sum(counts), 8
    x, upstream = (
        torch.randn(n, c, 5, 6, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    x = x * torch.linspace(0.5, 4, c)[:, None, None] + torch.arange(n)[:, None, None, None] / 4
    x = x.to(getattr(torch, dtype))
    upstream = upstream.to(x.dtype)
    start = sum(counts[:rank])
    own = slice(start, start + counts[rank])

    def measure(layer: nn.Module, part: slice, summed: bool) -> list[Tensor]:
        with torch.no_grad():
            layer.weight.copy_(torch.linspace(0.5, 2, c))  # type: ignore[operator]
            layer.bias.copy_(torch.linspace(-1, 1, c))  # type: ignore[operator]
        layer.to(x.dtype)
        leaf = x[part].clone().requires_grad_()
        y = layer(leaf)
        y.backward(upstream[part])
        gradients = [
            parameter.grad for parameter in layer.parameters() if parameter.grad is not None
        ]
        for gradient in gradients:
            # Gradients of parameters are each process's share, to be summed.
            if summed:
                dist.all_reduce(gradient)
        assert leaf.grad is not None
        return [
            y.detach(),
            leaf.grad,
            *gradients,
            layer.running_mean,
            layer.running_var,
            layer.eval()(x[part]).detach(),
        ]

    found = measure(make_norm(kind, c), own, summed=True)
    wanted = measure(make_norm("batchnorm", c), slice(0, n), summed=False)
    names = ("output", "input", "weight", "bias", "mean", "variance", "eval")
    errors = []
    for name, one, all_ in zip(names, found, wanted, strict=True):
        target = all_[own] if name in ("output", "input", "eval") else all_
        errors.append(
            (one - target).abs().max() / all_.abs().max()
            if one.numel()
            else torch.zeros((), dtype=x.dtype)
        )
    largest = torch.stack(errors)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return dict(zip(names, largest.tolist(), strict=True))


def network_errors(
    seed: int,
    own: tuple[str, dict[str, Any]],
    joined: tuple[str, dict[str, Any]],
    samples: int,
) -> dict[str, float]:
    """A CNN with norm `own` in data-parallel workers of `samples` each, against one process with
    norm `joined`.

    Norms are (kind, options). In float64, relative to the largest entry: `gradient` of the first
    step; and `buffers`, after three steps in which every further worker's data lie 10 deviations
    apart: those that DDP has in its first process against those of a network that has only ever
    seen this one's samples.
    """
    rank, workers = dist.get_rank(), dist.get_world_size()
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, workers * samples, 3, 12, 12, generator=generator, dtype=torch.float64)
    x += 10.0 * torch.arange(workers).repeat_interleave(samples)[:, None, None, None]
    y = torch.randint(10, (3, workers * samples), generator=generator)
    part = slice(rank * samples, (rank + 1) * samples)

    def network(norm: tuple[str, dict]) -> nn.Module:  # type: ignore[type-arg]
        kind, options = norm
        factory, drawn = partial(make_norm, kind, **options), torch.Generator().manual_seed(seed)
        return PlainCNN(
            (3, 12, 12), 10, factory, not KINDS[kind].has_shift, drawn, depth=5, width=8
        ).double()

    def gradient(model: nn.Module, inner: nn.Module, step: int, part: slice) -> Tensor:
        model.zero_grad()
        F.cross_entropy(model(x[step, part]), y[step, part]).backward()
        return torch.cat([p.grad.flatten() for p in inner.parameters() if p.grad is not None])

    # The same weights three times: the generator is made anew in `network`.
    inner, alone, single = network(own), network(own), network(joined)
    model = DistributedDataParallel(inner)
    found = gradient(model, inner, 0, part)
    wanted = gradient(single, single, 0, slice(None))
    errors = {"gradient": float((found - wanted).abs().max() / wanted.abs().max())}
    for step in (1, 2):
        gradient(model, inner, step, part)
    if batch_norms(inner) and own[0] == "batchnorm":
        first = slice(0, samples)
        with torch.no_grad():
            for step in range(3):
                alone(x[step, first])
        pairs = [
            (a.double(), b.double()) for a, b in zip(inner.buffers(), alone.buffers(), strict=True)
        ]
        errors["buffers"] = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    return errors


class Summed(torch.autograd.Function):
    """The sum of a tensor over all processes, to each of them; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # y_j = sum of all x_i for every process j, so dL/dx_i is the sum of all dL/dy_j.
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def sharded_layernorm(seed: int, rows: int = 16, width: int = 256) -> dict[str, float]:
    """LayerNorm whose channels are divided among the workers, against LayerNorm over all of them.

    Largest relative differences of output and input gradient: with each part's `own` statistics,
    and with `shared` ones, by an all-reduce of both moments.
    """
    rank, workers = dist.get_rank(), dist.get_world_size()
    generator = torch.Generator().manual_seed(seed)
    x, upstream = (
        torch.randn(rows, width, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    x = x * torch.linspace(0.5, 2, width) + torch.linspace(-1, 1, width)
    part = slice(rank * width // workers, (rank + 1) * width // workers)

    def measure(normalize: Callable[[Tensor], Tensor], part: slice) -> tuple[Tensor, Tensor]:
        leaf = x[:, part].clone().requires_grad_()
        y = normalize(leaf)
        return y.detach(), torch.autograd.grad(y, leaf, upstream[:, part])[0]

    def shared(part: Tensor) -> Tensor:
        mean = Summed.apply(part.sum(1, keepdim=True)) / width  # type: ignore[no-untyped-call]
        variance = Summed.apply((part - mean).square().sum(1, keepdim=True)) / width  # type: ignore[no-untyped-call]
        return (part - mean) / (variance + 1e-5).sqrt()  # type: ignore[no-any-return]

    def error(normalize: Callable[[Tensor], Tensor]) -> float:
        pairs = zip(measure(normalize, part), measure(over_all, slice(None)), strict=True)
        largest = torch.stack(
            [(a - b[:, part]).abs().max() / b.abs().max() for a, b in pairs]
        ).max()
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return float(largest)

    def over_all(x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[1:])

    return {"own": error(over_all), "shared": error(shared)}


def train_workers(
    overrides: Sequence[str], seed: int, kind: str, data_of: str
) -> Measurement | None:
    """Data-parallel training in which every worker has its own data, and what the first one saves.

    data_of: `all` (random samples of the training split), `classes` (classes of its own) or
    `shifted` (random samples, each worker's pixels SHIFT deviations brighter than the last's).
    `accuracy` on the test split, in eval mode with the first worker's buffers, as DDP saves them;
    `pooled_accuracy`, with the statistics of all workers' buffers together. Shifted data are tested
    as each worker sees them. None but in the first process.
    """
    from normlab.config.compose import compose
    from normlab.training.evaluations.shift import predictions, whole_split
    from normlab.training.setup import set_up
    from normlab.training.step import train_steps

    rank, workers = dist.get_rank(), dist.get_world_size()
    cfg = compose([*overrides, f"norm={kind}", f"seed={seed}"])
    setup = set_up(cfg)
    shift = SHIFT if data_of == "shifted" else 0.0
    x, y = whole_split(setup.data, "train")
    own = _own_samples(y, setup.data.num_outputs, seed, by_class=data_of == "classes")
    size = cfg.data.batch_size // workers
    drawn = torch.Generator().manual_seed(1000 * seed + rank)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = own[torch.randint(len(own), (size,), generator=drawn)]
        return x[chosen] + rank * shift, y[chosen]

    with warnings.catch_warnings():
        # Of a new name for the option, which older versions lack.
        warnings.simplefilter("ignore", FutureWarning)
        # Broadcasting would leave the first worker's buffers as they are, and lose the others'.
        parallel = DistributedDataParallel(setup.model, broadcast_buffers=False)
    train_steps(parallel, setup.optimizer, setup.rate, batch, range(setup.steps))
    setup.model.eval()
    test_x, test_y = whole_split(setup.data, "test")

    def accuracy() -> float:
        shares = []
        for worker in range(workers if shift else 1):
            right = predictions(setup.model, test_x + worker * shift) == test_y
            shares.append(right.double().mean())
        return float(torch.stack(shares).mean())

    measured: dict[str, Any] = {"accuracy": accuracy()}
    for layer in batch_norms(setup.model):
        _pool(layer)
    measured["pooled_accuracy"] = accuracy()
    return Measurement(measured, setup.source) if rank == 0 else None


def _own_samples(y: Tensor, num_classes: int, seed: int, by_class: bool) -> Tensor:
    """Indices of this worker's training samples, of labels (n,): random ones, or its classes."""
    rank, workers = dist.get_rank(), dist.get_world_size()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    # Consecutive classes to each worker, or every workers-th sample of the shuffled order.
    owner = y[order] * workers // num_classes if by_class else torch.arange(len(y)) % workers
    return order[owner == rank]


def _pool(layer: Any) -> None:
    """Replace a layer's running statistics by those of all workers' samples, as they tell it."""
    workers = dist.get_world_size()
    # Means of squares add up; variances would leave out that means differ.
    mean, square = layer.running_mean.clone(), layer.running_var + layer.running_mean.square()
    dist.all_reduce(mean)
    dist.all_reduce(square)
    layer.running_mean.copy_(mean / workers)
    layer.running_var.copy_(square / workers - (mean / workers).square())
