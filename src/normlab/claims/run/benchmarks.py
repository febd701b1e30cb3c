"""Benchmarks by name, and the rows that they leave in results/bench.jsonl.

Imports nothing heavy, since the command line's help is made of it.
"""

import datetime
import importlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from normlab.records.lines import BENCHMARKS, Lines, read_lines
from normlab.records.machines import ELSEWHERE, machine_of_row
from normlab.records.places import RESULTS, read_together

BENCH_FILE = RESULTS / BENCHMARKS

Row = Mapping[str, Any]  # what a benchmark measured, and all that could explain it, by name


class Benchmark(StrEnum):
    """The benchmarks, in the order of `normlab bench --help`."""

    data_path = "data-path"
    train_loop = "train-loop"
    startup = "startup"
    sweep = "sweep"
    lm_step = "lm-step"
    norms = "norms"
    kernels = "kernels"
    fold = "fold"
    syncbn = "syncbn"
    cifar = "cifar"

    @property
    def module(self) -> str:
        """The module whose `run(quick)` measures it."""
        if self is Benchmark.sweep:  # the one that is of no layer or network
            return "normlab.claims.run.throughput"
        return f"normlab.measure.timing.{self.name}"


def run_benchmark(
    name: str, *, quick: bool = False, save: bool = True, path: Path = BENCH_FILE
) -> list[Row]:
    """The rows of the benchmark `name`.

    With `save` they are appended to `path`, with the time, the commit and the machine.
    """
    module = importlib.import_module(Benchmark(name).module)
    rows: list[Row] = module.run(quick=quick)
    if save:
        append_rows(rows, path, quick=quick)
    return rows


def append_rows(rows: Sequence[Row], path: Path, *, quick: bool) -> None:
    """Append `rows` to the file: on disk when this returns."""
    from normlab.records.machine import processor
    from normlab.records.provenance import code_state
    from normlab.records.record import SCHEMA

    stamp = {
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "code": code_state(),
        "processor": processor(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "quick": quick,
        "schema": SCHEMA,
    }
    # A lock of this file's own: a benchmark does not wait for a `normlab run`.
    with Lines(path.parent, path.name, "normlab bench") as lines:
        stamped = [{**row, **stamp} for row in rows]
        lines.write(path.stem, [json.dumps(row, sort_keys=True) for row in stamped])


# Fields by which two rows are of the same cell.
_CELL = (
    "benchmark", "subject", "kind", "baseline", "batch_size", "shape", "layout", "memory_format",
    "dtype", "mode", "model", "world_size", "kernel", "quick",
)  # fmt: skip


def rows_by_machine(folder: Path) -> dict[str, list[Row]]:
    """By machine, its newest row of each cell, in the order of the file: those of the folder, then
    those that other machines have sent."""
    files = [place / BENCHMARKS for place in read_together(folder)]
    files += sorted((folder / ELSEWHERE).glob(f"*/{BENCHMARKS}"))
    newest: dict[str, dict[str, Row]] = {}
    for file in files:
        lines = read_lines(file) if file.is_file() else []
        aside = f" ({ELSEWHERE})" if file.parent.parent.name == ELSEWHERE else ""
        for _, line in lines:
            row: Row = json.loads(line)
            cells = newest.setdefault(machine_of_row(row).label + aside, {})
            cells[json.dumps([row.get(name) for name in _CELL])] = row
    return {machine: list(cells.values()) for machine, cells in newest.items()}
