"""Run a benchmark by name, show its rows, keep them in results/bench.jsonl."""

import datetime
import importlib
import json
import os
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from normlab.records.lines import BENCHMARKS, Lines
from normlab.records.places import RESULTS
from normlab.records.provenance import code_state
from normlab.records.record import SCHEMA

BENCH_FILE = RESULTS / BENCHMARKS

_MODULES = {"sweep": "normlab.claims.run.throughput"}  # the one that is no layer's or network's

# What a reader looks at; a row holds everything else that could explain its ratio.
_SHOWN = (
    "benchmark", "subject", "kind", "baseline", "batch_size", "shape", "memory_format", "dtype", "mode", "device",
    "ratio", "ratio_low", "ratio_high", "control", "void", "goal",
)  # fmt: skip


def run_benchmark(
    name: str, quick: bool, save: bool, path: Path = BENCH_FILE
) -> list[dict[str, Any]]:
    """Rows of the benchmark `name`; appended to `path` with the time, the commit and the machine if `save`."""
    module = importlib.import_module(
        _MODULES.get(name, f"normlab.measure.timing.{name.replace('-', '_')}")
    )
    rows = module.run(quick=quick)
    stamp = {
        "schema": SCHEMA,
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "code": code_state(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "quick": quick,
    }
    if save:
        with Lines(path.parent, path.name, f"normlab bench {name}") as lines:
            stamped = ({**row, **stamp} for row in rows)
            lines.write(path.stem, [json.dumps(row, sort_keys=True) for row in stamped])
    show(rows)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The rows as a table, without columns that no row has."""
    columns = [column for column in _SHOWN if any(row.get(column) is not None for row in rows)]
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        cells = (row.get(column) for column in columns)
        table.add_row(
            *(
                "" if cell is None else f"{cell:.3g}" if isinstance(cell, float) else str(cell)
                for cell in cells
            )
        )
    Console(width=None if Console().is_terminal else 200).print(table)
