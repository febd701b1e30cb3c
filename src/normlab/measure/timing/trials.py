"""Timed trials that claims share: one pair of norms over a grid of cells, and their rules.
Torch-free at import.

A trial is one fresh reading of every cell, of layers and inputs that are built anew for it. What it
records of a cell: the log of the ratio of times, null where the A/A control, the baseline against
another one that is built like it, was off in every attempt (the cell is void then), the control,
and microseconds of both sides. Seeds are repetitions: intervals say how far the readings of this
machine differ, not how machines differ.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any

from normlab.measure.timing.harness import ATTEMPTS, Comparison, Sides, compare_until_valid
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from normlab.measure.timing.layers import Cell

LOG = "log "  # begins the name of a metric that is the log of a cell's ratio
GAIN = "gain "
PARTS = ("block", "norms")  # of a deep model that are timed
QUICK = {
    "device": "cpu",
    "rounds": 2,
    "seconds": 1e-6,
    "attempts": 1,
    "backend": "eager",
}  # of smoke protocols
CPU = {"device": "cpu", "rounds": 12, "seconds": 0.003}
GPU = {"device": "cuda", "rounds": 30, "seconds": 0.004}
ALL_MAPS: dict[str, Any] = {
    "dtypes": ["float32", "bfloat16"],
    "formats": ["channels_first", "channels_last"],
}
LAYERNORMS = {  # of maps: name -> kind, implementation, and how a sentence calls it
    "over C, H, W": ("layernorm", "torch.nn", "over (C, H, W)"),
    "permuted": ("channel_layernorm", "torch.nn", "over C, by two permutations,"),
    "channels first": ("channel_layernorm", "ours", "over C, by our channels-first kernel,"),
    "GroupNorm(1)": ("groupnorm1", "torch.nn", "as GroupNorm with one group"),
}


def rows(
    heights: tuple[int, ...], widths: tuple[int, ...], most: int = 2**21, **more: Any
) -> dict[str, Any]:
    """A grid of rows (N, C) of at most `most` values; `more`: dtypes and modes."""
    return {"shapes": [[n, c] for n, c in product(heights, widths) if n * c <= most], **more}


def maps(
    sides: tuple[int, ...], values: int = 2**20, channels: int = 64, **more: Any
) -> dict[str, Any]:
    """A grid of square maps (N, C, H, W) of `values` each, with fewer channels where one sample
    would be larger."""
    wide = [(side, min(channels, values // side**2)) for side in sides]
    return {"shapes": [[values // (c * side**2), c, side, side] for side, c in wide], **more}


def layers(options: Mapping[str, Any], seed: int) -> Measurement:
    """`subject` against `baseline`, each (kind, implementation) or ("copy", ""), in each cell of
    the arm's `grid`."""
    from normlab.measure.timing.layers import call, copy

    def sides(cell: "Cell") -> Sides:
        def side(kind: str, implementation: str) -> Callable[[], object]:
            x = cell.tensor()
            if kind == "copy":
                return copy(x)
            return call(
                _layer(kind, implementation, cell, options.get("backend", "inductor")), x, cell.mode
            )

        return Sides(side(*options["subject"]), *(side(*options["baseline"]) for _ in range(2)))

    return _readings([(cell.name, partial(sides, cell)) for cell in _cells(options)], options, seed)


def steps(options: Mapping[str, Any], seed: int) -> Measurement:
    """The same inside a model: training steps of `model`, resnet or transformer, in each of its
    grid's sizes."""
    from normlab.measure.timing import steps as models

    step: Callable[..., Callable[[], object]] = getattr(models, f"{options['model']}_step")

    def sides(size: Mapping[str, Any]) -> Sides:
        built = ("subject", "baseline", "baseline")
        return Sides(*(step(*options[side], **size, device=options["device"]) for side in built))

    sizes = options["grids"][options["grid"]]["steps"]
    return _readings([(_words(size), partial(sides, size)) for size in sizes], options, seed)


def _words(size: Mapping[str, Any]) -> str:
    """`batch 8, context 64, width 128`: the last number is what a figure draws over."""
    return ", ".join(f"{name} {value}" for name, value in size.items())


def trial(options: Mapping[str, Any], seed: int) -> Measurement:
    """One reading: of layers, or of training steps where the arm names a model."""
    return steps(options, seed) if "model" in options else layers(options, seed)


def depth(options: Mapping[str, Any], seed: int) -> Measurement:
    """A block of a deep model with RMSNorm against LayerNorm, end to end, and what its norms alone
    explain of that.

    `gain ...` is the log of 1 - (t(LayerNorms) - t(RMSNorms)) / t(block with LayerNorm): the
    end-to-end ratio if nothing else of the block changed, and free of the noise of its matrix
    products.
    """
    grid, implementation = options["grids"][options["grid"]], options["implementation"]
    build = _compiled_block if implementation == "compiled" else _block
    built: dict[str, dict[str, Sides]] = {}

    def part(what: str, shape: list[int]) -> Sides:
        if str(shape) not in built:
            built.clear()  # one block at a time: each has up to a gigabyte of weights
            given = (grid["dtype"], options["device"], options.get("backend", "inductor"))
            built[str(shape)] = build(implementation, tuple(shape), *given)
        return built[str(shape)][what]

    shapes = {"x".join(map(str, shape)): shape for shape in grid["shapes"]}
    cells: list[tuple[str, Callable[[], Sides]]] = [
        (f"{name} {what}", partial(part, what, shape))
        for name, shape in shapes.items()
        for what in PARTS
    ]
    # In the order given: `built` holds one block, which both parts of a shape need.
    readings = _readings(cells, options, None)
    metrics: dict[str, Any] = dict(readings.metrics)
    for name in shapes:
        saved = metrics[f"baseline_us {name} norms"] - metrics[f"subject_us {name} norms"]
        # Either reading of a void cell is unsure, and both are in what follows.
        void = any(math.isnan(metrics[f"{LOG}{name} {what}"]) for what in PARTS)
        whole = math.nan if void else metrics[f"baseline_us {name} block"]
        metrics[f"{GAIN}{name}"] = math.log1p(-saved / whole)
        metrics[f"share_of_layernorm {name}"] = metrics[f"baseline_us {name} norms"] / whole
    return replace(readings, metrics=metrics)


def read(sides: Sides, options: Mapping[str, Any]) -> Comparison:
    """One comparison, as the protocol's options want it."""
    from normlab.measure.timing.conditions import cuda_clock

    clock = cuda_clock if options["device"] == "cuda" else None
    timing = {"rounds": options["rounds"], "min_seconds": options["seconds"], "clock": clock}
    attempts = options.get("attempts", ATTEMPTS)
    return compare_until_valid(sides.subject, sides.baseline, attempts, twin=sides.twin, **timing)


def noted(name: str, found: Comparison) -> dict[str, float]:
    """What a record holds of one comparison."""
    return {
        f"{LOG}{name}": math.log(found.ratio) if found.valid else math.nan,
        f"control {name}": found.control,
        f"subject_us {name}": found.subject_s * 1e6,
        f"baseline_us {name}": found.baseline_s * 1e6,
    }


def _readings(
    cells: list[tuple[str, Callable[[], Sides]]], options: Mapping[str, Any], seed: int | None
) -> Measurement:
    from normlab.measure.timing.conditions import device_name, timing_conditions

    # In another order each time: what the machine does meanwhile falls on no cell alone.
    if seed is not None:
        random.Random(seed).shuffle(cells)
    metrics: dict[str, Any] = {}
    with timing_conditions():
        for name, sides in cells:
            metrics |= noted(name, read(sides(), options))
    # Every cell has one log, void or not.
    logs = [value for name, value in metrics.items() if name.startswith(LOG)]
    void = sum(math.isnan(value) for value in logs)
    counts = {"cells": len(logs), "void": void}
    return Measurement({**metrics, **counts}, device=device_name(options["device"]))


def _cells(options: Mapping[str, Any]) -> list["Cell"]:
    from normlab.measure.timing.layers import Cell

    grid = options["grids"][options["grid"]]
    dtypes, modes = (
        grid.get("dtypes", ["float32"]),
        options.get("modes") or grid.get("modes", ["forward_backward"]),
    )
    formats = grid.get("formats", ["channels_first"])
    return [
        Cell(tuple(shape), dtype, mode, memory_format, options["device"])
        for shape, dtype, mode, memory_format in product(grid["shapes"], dtypes, modes, formats)
    ]


def _layer(kind: str, implementation: str, cell: "Cell", backend: str) -> Any:
    from normlab.measure.timing.layers import build

    make = _compiled if implementation == "compiled" else build
    layer = make(kind, implementation, cell, backend)
    assert layer is not None, f"no {implementation} {kind} for {cell.name}"
    return layer


@lru_cache(maxsize=64)
def _compiled(kind: str, implementation: str, cell: "Cell", backend: str) -> Any:
    """Compiled once in a process: the repetitions then time what the first one compiled."""
    from normlab.measure.timing.layers import build

    return build(kind, implementation, cell, backend)


def _block(*given: Any) -> Any:
    from normlab.measure.timing.depth import sides

    return sides(*given)


@lru_cache(maxsize=8)
def _compiled_block(*given: Any) -> Any:
    return _block(*given)
