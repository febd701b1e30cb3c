"""What each norm costs, forward and forward + backward, in copies of its own input.

A copy reads and writes every value once, which is the least that any norm can do. Beside these rows: RMSNorm against
`nn.LayerNorm` and `F.rms_norm`, and batch norm over ghost batches against batch norm over the whole batch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.bench.harness import Comparison, compare
from normlab.norms import KINDS, make_norm

MAPS, TOKENS = (64, 32, 16, 16), (32, 64, 128)
MODES = ("forward", "forward_backward")
WIDTHS = (64, 256, 1024, 4096)
VALUES = 2**18  # of the inputs of RMSNorm: rows x width, 1 MiB in float32
GHOST_BATCHES = (1, 2, 8, 32)
ATTEMPTS = 3  # at a control within tolerance; after them the row is void

Row = dict[str, Any]


def run(quick: bool = False) -> list[Row]:
    """All rows; with `quick` only float32, fewer sizes and short timings."""
    rows: list[Row] = []
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    dtypes = (torch.float32,) if quick else (torch.float32, torch.bfloat16)
    with _one_thread():
        for device in devices:
            for dtype in dtypes:
                rows += _against_copy(device, dtype, quick)
            rows += _rmsnorm(device, quick)
            rows += _ghost_batches(device, quick)
    return rows


def _against_copy(device: str, dtype: torch.dtype, quick: bool) -> Iterator[Row]:
    inputs = {
        ("NCHW", "channels_first"): torch.randn(MAPS),
        ("NCHW", "channels_last"): torch.randn(MAPS).contiguous(memory_format=torch.channels_last),
        ("NTC", "contiguous"): torch.randn(TOKENS),
    }
    for (layout, memory_format), tensor in inputs.items():
        x = tensor.to(device, dtype)
        target = torch.empty_like(x)
        channels = x.shape[2] if layout == "NTC" else x.shape[1]
        for kind, spec in KINDS.items():
            if layout not in spec.layouts:
                continue
            norm = make_norm(kind, channels, layout).to(device)
            for mode in MODES:
                comparison = _measure(_call(norm, x, mode), partial(target.copy_, x), device, quick)
                yield _row(comparison, x, layout, memory_format, mode, kind=kind, baseline="copy")


def _rmsnorm(device: str, quick: bool) -> Iterator[Row]:
    for width in WIDTHS[::2] if quick else WIDTHS:
        x = torch.randn(VALUES // width, width, device=device)
        ours = make_norm("rmsnorm", width, "NC").to(device)
        baselines = {"nn.LayerNorm": nn.LayerNorm(width).to(device), "F.rms_norm": _TorchRMSNorm(width).to(device)}
        for name, baseline in baselines.items():
            for mode in MODES:
                comparison = _measure(_call(ours, x, mode), _call(baseline, x, mode), device, quick)
                yield _row(comparison, x, "NC", "contiguous", mode, kind="rmsnorm", baseline=name)


def _ghost_batches(device: str, quick: bool) -> Iterator[Row]:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(MAPS, device=device).contiguous(memory_format=memory_format)
        plain = make_norm("batchnorm", MAPS[1]).to(device)
        name = "channels_last" if memory_format == torch.channels_last else "channels_first"
        for size in GHOST_BATCHES[:2] if quick else GHOST_BATCHES:
            ghost = make_norm("batchnorm", MAPS[1], ghost_batch=size).to(device)
            for mode in MODES:
                comparison = _measure(_call(ghost, x, mode), _call(plain, x, mode), device, quick)
                kind = f"batchnorm ghost_batch={size}"
                yield _row(comparison, x, "NCHW", name, mode, kind=kind, baseline="batchnorm")


class _TorchRMSNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-5)


def _call(norm: nn.Module, x: Tensor, mode: str) -> Callable[[], object]:
    """One call of `norm` on `x`: without a graph, or with the gradients of input and parameters."""
    if mode == "forward":

        def forward() -> object:
            with torch.no_grad():
                return norm(x)

        return forward
    point = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    gradient = torch.randn_like(x)
    wanted = [point, *norm.parameters()]
    return lambda: torch.autograd.grad(norm(point), wanted, gradient)


def _measure(subject: Callable[[], object], baseline: Callable[[], object], device: str, quick: bool) -> Comparison:
    synchronize = torch.cuda.synchronize if device == "cuda" else None
    rounds, seconds = (8, 0.002) if quick else (30, 0.008)
    for _ in range(ATTEMPTS):
        comparison = compare(subject, baseline, rounds, seconds, synchronize)
        if comparison.valid:
            break
    return comparison


def _row(
    comparison: Comparison, x: Tensor, layout: str, memory_format: str, mode: str, *, kind: str, baseline: str
) -> Row:
    return {
        "benchmark": "norm-layers",
        "kind": kind,
        "baseline": baseline,
        "shape": "x".join(map(str, x.shape)),
        "layout": layout,
        "memory_format": memory_format,
        "dtype": str(x.dtype).removeprefix("torch."),
        "mode": mode,
        "device": torch.cuda.get_device_name() if x.is_cuda else "cpu",
        "threads": torch.get_num_threads(),
        "ratio": comparison.ratio,
        "ratio_low": comparison.ratio_low,
        "ratio_high": comparison.ratio_high,
        "control": comparison.control,
        "void": not comparison.valid,
        "baseline_us": comparison.baseline_s * 1e6,
        "subject_us": comparison.subject_s * 1e6,
        "torch": torch.__version__,
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
