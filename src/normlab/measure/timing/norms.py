"""What each norm costs, in copies of its own input, and inside a model, in the time of the same
model without norms.

A copy reads and writes every value once, which is the least that any norm can do. Beside these
rows: RMSNorm against LayerNorm of the same implementation, and batch norm over ghost batches
against batch norm over the whole batch.

    normlab bench norms --quick        2 minutes on one calm core; without --quick 12 to 15
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch

from normlab.errors import NormLabError
from normlab.measure.timing.conditions import cuda_clock, device_name, timing_conditions
from normlab.measure.timing.harness import Comparison, compare_until_valid
from normlab.measure.timing.layers import IMPLEMENTATIONS, Cell, build, call, copy
from normlab.measure.timing.steps import resnet_step, transformer_step
from normlab.norms import KINDS, kernels, make_norm

MODES = ("forward", "forward_backward")
SIDES, CHANNELS = (8, 16, 32, 64, 128, 256), 64
ROWS, WIDTHS = (1, 64, 4096, 65536), (256, 1024, 4096, 8192)
GHOST_BATCHES = (1, 2, 8, 32)
# Values of a map, and most values of a sequence. On a CPU a cell of 2^24 takes seconds; on a GPU
# one of 2^29 is 2 GiB.
VALUES = {"cpu": (2**20, 2**24), "cuda": (2**26, 2**29)}
LARGE = 2**21  # from here on, fewer rounds: one call of the slowest kinds takes 50 ms on a CPU

Row = dict[str, Any]


def run(quick: bool = False) -> list[Row]:
    """All rows; with `quick` only float32, fewer sizes, no compilation and short timings."""
    rows: list[Row] = []
    with timing_conditions():
        for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
            for cell in grid(device, quick):
                rows += against_copy(cell, quick)
            rows += rmsnorm_against_layernorm(device, quick)
            rows += ghost_batches(device, quick)
            rows += inside_models(device, quick)
    return rows


def grid(device: str, quick: bool) -> Iterator[Cell]:
    """Maps of equal size, in both memory formats, and sequences of rows by width; cut where
    VALUES say."""
    values, most = VALUES[device]
    sides = (32, 128) if quick else SIDES if device == "cuda" else (8, 32, 128, 256)
    sizes = ((64, 1024), (4096, 256)) if quick else tuple(product(ROWS, WIDTHS))
    dtypes = ("float32",) if quick else ("float32", "bfloat16")
    for dtype, mode in product(dtypes, MODES):
        for side, memory_format in product(sides, ("channels_first", "channels_last")):
            # Fewer channels where one sample of all 64 would be larger than the map may be.
            channels = min(CHANNELS, values // side**2)
            shape = (values // (channels * side**2), channels, side, side)
            yield Cell(shape, dtype, mode, memory_format, device)
        for rows, width in sizes:
            if rows * width <= most:
                length = min(rows, 128)
                yield Cell((rows // length, length, width), dtype, mode, device=device)


def against_copy(cell: Cell, quick: bool) -> Iterator[Row]:
    """Every kind in every implementation that there is for `cell`."""
    x = cell.tensor()
    for implementation, kind in product(IMPLEMENTATIONS, (*KINDS, "groupnorm1")):
        if not worthwhile(kind, implementation, cell, quick):
            continue
        layer = build(kind, implementation, cell)
        if layer is None or refused(one := call(layer, x, cell.mode)):
            continue
        comparison = measure(one, copy(x), cell.device, quick, cell.values)
        yield {
            **row_of(comparison, cell.device),
            **words(cell),
            **subject(kind, implementation),
            "baseline": "copy",
        }


def worthwhile(kind: str, implementation: str, cell: Cell, quick: bool) -> bool:
    """What a cell is timed for: compiling takes 5 s on a CPU and does not pay there, so a few
    cells must do."""
    if kind == "groupnorm1" and (implementation == "ours" or cell.layout != "NCHW"):
        return False  # ours is layernorm there
    if implementation == "compiled" and cell.device == "cpu":
        few = (
            cell.shape in ((16, CHANNELS, 32, 32), (32, 128, 256))
            and cell.memory_format == "channels_first"
        )
        return few and not quick and cell.dtype == "float32"
    # Statistics in bfloat16 are wrong by per cents, which nobody should write by hand.
    return implementation != "hand-written" or cell.dtype == "float32"


def rmsnorm_against_layernorm(device: str, quick: bool) -> Iterator[Row]:
    """Both of one implementation, over widths."""
    implementations = ("ours", "torch.nn", "hand-written") if device == "cpu" else IMPLEMENTATIONS
    for width, mode, implementation in product(
        WIDTHS[::2] if quick else WIDTHS, MODES, implementations
    ):
        cell = Cell((VALUES[device][0] // width, width), mode=mode, device=device)
        x = cell.tensor()
        ours, other = (build(kind, implementation, cell) for kind in ("rmsnorm", "layernorm"))
        if ours is not None and other is not None:
            comparison = measure(call(ours, x, mode), call(other, x, mode), device, quick)
            named = {
                **subject("rmsnorm", implementation),
                "baseline": f"layernorm, {implementation}",
            }
            yield {**row_of(comparison, device), **words(cell), **named}


def ghost_batches(device: str, quick: bool) -> Iterator[Row]:
    """Ours, over n samples, against the whole batch of 64."""
    for memory_format, mode in product(("channels_first", "channels_last"), MODES):
        cell = Cell((64, 32, 16, 16), "float32", mode, memory_format, device)
        x = cell.tensor()
        plain = make_norm("batchnorm", cell.channels).to(device)
        for size in GHOST_BATCHES[:2] if quick else GHOST_BATCHES:
            ghost = make_norm("batchnorm", cell.channels, ghost_batch=size).to(device)
            comparison = measure(call(ghost, x, mode), call(plain, x, mode), device, quick)
            named = {
                **subject(f"batchnorm ghost_batch={size}", "ours"),
                "baseline": "batchnorm, ours",
            }
            yield {**row_of(comparison, device), **words(cell), **named}


def inside_models(device: str, quick: bool) -> Iterator[Row]:
    """A training step of each model with each kind of ours, against the same step with
    norm=none."""
    batch, width, context = (256, 64, 256) if device == "cuda" else (16, 16, 64)
    formats = ("channels_first",) if quick else ("channels_first", "channels_last")
    images = {"batch": batch, "width": width}
    tokens = {"batch": batch // 2, "width": 4 * width}
    steps: list[tuple[str | None, dict[str, int], Callable[..., Callable[[], object]]]] = [
        *((one, images, partial(resnet_step, size=32, memory_format=one)) for one in formats),
        (None, tokens, partial(transformer_step, context=context)),
    ]
    for memory_format, size, build_step in steps:
        step = partial(build_step, **size, device=device)
        model, layout = ("resnet8", "NCHW") if memory_format else ("transformer2", "NTC")
        plain = step("none", "ours")
        for kind in ("batchnorm", "groupnorm", "layernorm", "rmsnorm") if quick else KINDS:
            if kind == "none" or layout not in KINDS[kind].layouts:
                continue
            if refused(one := step(kind, "ours")):
                continue
            # As many rounds as a large cell: a step takes long, too.
            comparison = measure(one, plain, device, quick, LARGE)
            named = {
                **subject(kind, "ours"),
                "baseline": "norm=none",
                "dtype": "float32",
                "mode": "training step",
            }
            shape = {
                "shape": model,
                "layout": layout,
                "memory_format": memory_format,
                **size,
            }
            yield {**row_of(comparison, device), **named, **shape}


def refused(one: Callable[[], object]) -> bool:
    """Whether a norm says that it cannot: one row leaves a batch norm nothing, some kinds need
    several processes."""
    try:
        one()
    except NormLabError:
        return True
    return False


def measure(
    subject: Callable[[], object],
    baseline: Callable[[], object],
    device: str,
    quick: bool,
    values: int = 0,
) -> Comparison:
    """With the device's clock; tried again while the control is off."""
    rounds, seconds = (6, 0.002) if quick else (12 if values < LARGE else 6, 0.004)
    clock = cuda_clock if device == "cuda" else None
    return compare_until_valid(subject, baseline, rounds=rounds, min_seconds=seconds, clock=clock)


def subject(kind: str, implementation: str) -> Row:
    return {"subject": implementation, "kind": kind}


def words(cell: Cell) -> Row:
    """What a row says of its input."""
    return {
        "shape": "x".join(map(str, cell.shape)),
        "layout": cell.layout,
        "memory_format": cell.memory_format if cell.layout == "NCHW" else None,
        "dtype": cell.dtype,
        "mode": cell.mode,
        "bytes": cell.values * getattr(torch, cell.dtype).itemsize,
    }


def row_of(comparison: Comparison, device: str) -> Row:
    """What a row says of its timing. `ratio_low` and `ratio_high` are quartiles, `interval_...`
    is of the median."""
    return {
        "benchmark": "norms",
        "device": "cpu" if device == "cpu" else device_name(device),
        "threads": torch.get_num_threads(),
        "ratio": comparison.ratio,
        "ratio_low": comparison.ratio_low,
        "ratio_high": comparison.ratio_high,
        "interval_low": comparison.interval_low,
        "interval_high": comparison.interval_high,
        "control": comparison.control,
        "void": not comparison.valid,
        "attempts": comparison.attempts,
        "rounds": comparison.rounds,
        "baseline_us": comparison.baseline_s * 1e6,
        "subject_us": comparison.subject_s * 1e6,
        "torch": torch.__version__,
        "kernel": kernels.name(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
