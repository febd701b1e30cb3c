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

from normlab.records.lines import BENCHMARKS, Lines
from normlab.records.places import RESULTS

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
    from normlab.records.provenance import code_state
    from normlab.records.record import SCHEMA

    stamp = {
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "code": code_state(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "quick": quick,
        "schema": SCHEMA,
    }
    # A lock of this file's own: a benchmark does not wait for a `normlab run`.
    with Lines(path.parent, path.name, "normlab bench") as lines:
        stamped = [{**row, **stamp} for row in rows]
        lines.write(path.stem, [json.dumps(row, sort_keys=True) for row in stamped])
