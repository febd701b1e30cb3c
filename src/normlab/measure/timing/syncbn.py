"""What synchronized batch norm costs: a training step with it against one without, by processes of
one machine.

All processes time the same calls in the same order and take the slowest one's clock, so that they
agree on how often to call. The floor is what the layers' messages take by themselves, each waited
for, as the layers wait for theirs.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from normlab.measure.distributed import Summed
from normlab.measure.timing.conditions import device_name, timing_conditions
from normlab.measure.timing.harness import Comparison, compare_until_valid
from normlab.measure.timing.steps import training_step
from normlab.models.resnet import ResNet
from normlab.norms import kernels, make_norm
from normlab.training.processes import run_group
from normlab.training.running_statistics import batch_norms

WORLD_SIZE, BATCH, GOAL = 2, 64, "<= 1.3"
LAYERS = 7  # batch norms of a ResNet-8


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Rows at world size 2, on gloo: ours against plain BN, the same by hand, and the messages
    alone as the floor."""
    rounds, seconds = (4, 0.05) if quick else (30, 0.4)
    arguments = (BATCH, "cpu", rounds, seconds, ("ours", "by hand"))
    rows, *_ = run_group(measure_rows, WORLD_SIZE, *arguments, wait_s=120.0, timeout_s=540.0)
    return rows  # type: ignore[no-any-return]


def measure_rows(
    batch: int,
    device: str,
    rounds: int,
    seconds: float,
    implementations: tuple[str, ...] = ("ours",),
    attempts: int = 3,
) -> list[dict[str, Any]]:
    """In each process of a group: rows for a ResNet-8 on `batch` images of 32x32 a process, on
    `device`."""
    world_size = dist.get_world_size()
    # More processes than GPUs share them.
    place = f"cuda:{dist.get_rank() % torch.cuda.device_count()}" if device == "cuda" else device
    rows = []
    with timing_conditions():
        timing: dict[str, Any] = {
            "rounds": rounds,
            "min_seconds": seconds,
            "attempts": attempts,
            "clock": partial(_clock, place),
        }
        (plain, _), (twin, _) = (_step("plain", batch, place) for _ in range(2))
        timing["twin"] = twin
        for implementation in implementations:
            step, model = _step(implementation, batch, place)
            # Before the timing: counting wraps the calls.
            messages = count_messages(step)
            compared = compare_until_valid(step, plain, **timing)
            rows.append(_row(implementation, compared, batch, world_size, place) | messages)
            if implementation == "ours":
                widths = [layer.num_features for layer in batch_norms(model)]
                alone = compare_until_valid(partial(_send, widths, place), plain, **timing)
                rows.append(_row("messages alone", alone, batch, world_size, place))
    # No step can take less than the plain one and its messages, if nothing else were added. They
    # are those of our layers, and not timed without them.
    floors = [1 + row["ratio"] for row in rows if row["subject"] == "messages alone"]
    for row in rows:
        row["floor_ratio"] = floors[0] if floors else None
    return rows


def count_messages(step: Callable[[], object]) -> dict[str, float]:
    """{collectives, bytes} that this process's layers send in one step; DDP's own go another way
    and do not count."""
    sent: list[int] = []
    originals = {name: getattr(dist, name) for name in ("all_gather", "all_reduce")}

    def counted(name: str) -> Callable[..., object]:
        def call(first: Any, *others: Any, **options: Any) -> object:
            # all_gather's first argument is where the messages go.
            message = others[0] if name == "all_gather" else first
            sent.append(message.numel() * message.element_size())
            return originals[name](first, *others, **options)

        return call

    for name in originals:
        setattr(dist, name, counted(name))
    try:
        step()
    finally:
        for name, original in originals.items():
            setattr(dist, name, original)
    return {"collectives": len(sent), "bytes": sum(sent)}


class _ByHand(nn.Module):
    """Synchronized batch norm as one would write it: two all-reduces of sums forward, autograd's
    two backward."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        count = dist.get_world_size() * x.numel() / x.shape[1]
        mean = Summed.apply(x.sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
        variance = Summed.apply(x.square().sum((0, 2, 3))) / count - mean.square()  # type: ignore[no-untyped-call]
        scale = self.weight * (variance + 1e-5).rsqrt()
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]  # type: ignore[no-any-return]


def _norm(implementation: str, num_features: int, layout: str) -> nn.Module:
    if implementation == "by hand":
        return _ByHand(num_features)
    if implementation == "torch.nn":
        return nn.SyncBatchNorm(num_features)
    kind = "batchnorm" if implementation == "plain" else "syncbatchnorm"
    return make_norm(kind, num_features, layout)


def _step(implementation: str, batch: int, device: str) -> tuple[Callable[[], object], nn.Module]:
    """A data-parallel training step and its network."""
    generator = torch.Generator().manual_seed(0)
    norm = partial(_norm, implementation)
    model = ResNet((3, 32, 32), 10, norm, False, generator, depth=8, width=16).to(device)
    x = torch.randn(batch, 3, 32, 32, generator=generator).to(device)
    y = torch.randint(10, (batch,), generator=generator).to(device)
    parallel = DistributedDataParallel(
        model, device_ids=[device] if device.startswith("cuda") else None
    )
    return training_step(parallel, x, y), model


def _send(widths: list[int], device: str) -> None:
    """What layers of these widths send in one step, waited for one by one."""
    for width in widths:
        # Forward, of each layer its mean, sum of squares and count.
        received = torch.empty(dist.get_world_size(), 2 * width + 1, device=device)
        dist.all_gather(list(received), torch.zeros(2 * width + 1, device=device))
    for width in widths:
        # Backward, the two sums that the gradient of the input needs.
        dist.all_reduce(torch.zeros(2, width, device=device))


def _clock(device: str, function: Callable[[], object], repeats: int) -> float:
    """Seconds a call of the slowest process: the same number in each."""
    cuda = device.startswith("cuda")
    # All begin together: waiting for a late one is not the layer's time.
    dist.barrier()
    if cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    if cuda:
        torch.cuda.synchronize()
    elapsed = torch.tensor([time.perf_counter() - start], dtype=torch.float64, device=device)
    dist.all_reduce(elapsed, dist.ReduceOp.MAX)
    return float(elapsed) / repeats


def _row(
    subject: str, compared: Comparison, batch: int, world_size: int, device: str
) -> dict[str, Any]:
    timed = asdict(compared)
    return {
        "benchmark": "syncbn",
        "subject": subject if subject == "messages alone" else f"syncbatchnorm, {subject}",
        "baseline": "batchnorm",
        "batch_size": batch,
        "world_size": world_size,
        "backend": dist.get_backend(),
        **{
            name: timed[name]
            for name in ("ratio", "ratio_low", "ratio_high", "interval_low", "interval_high")
        },
        "control": compared.control,
        "void": not compared.valid,
        "attempts": compared.attempts,
        "rounds": compared.rounds,
        "goal": GOAL if subject == "ours" else None,
        "subject_us": compared.subject_s * 1e6,
        "baseline_us": compared.baseline_s * 1e6,
        "model": "resnet 8",
        "device": device_name("cuda" if device.startswith("cuda") else "cpu"),
        "torch": torch.__version__,
        "kernel": kernels.name(),
    }
