"""`normlab bench`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from normlab.claims.run.benchmarks import Benchmark
from normlab.cli.options import Results

# What a reader looks at; a row holds everything else that could explain its ratio.
SHOWN = (
    "benchmark", "subject", "kind", "baseline", "batch_size", "shape", "memory_format", "dtype",
    "mode", "device", "ratio", "ratio_low", "ratio_high", "control", "void", "goal",
    "epochs", "core_minutes", "step_ms", "test_accuracy", "reaches",
)  # fmt: skip


def bench(
    name: Annotated[Benchmark | None, typer.Argument(help="Which benchmark.")] = None,
    quick: Annotated[bool, typer.Option(help="Fewer cells and rounds.")] = False,
    save: Annotated[bool, typer.Option(help="Append the rows to bench.jsonl.")] = True,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the rows that are kept, by machine, instead.")
    ] = False,
    results: Results = None,
) -> None:
    """Measure a ratio, both sides in one process, and keep the rows."""
    from normlab.claims.run.benchmarks import run_benchmark
    from normlab.errors import NormLabError
    from normlab.records.lines import BENCHMARKS
    from normlab.records.places import RESULTS

    folder = results or RESULTS
    if listed:
        print_kept(folder, name)
    elif name is None:
        known = ", ".join(Benchmark)
        raise NormLabError(f"name a benchmark, or pass --list: {known}.")
    else:
        print_rows(run_benchmark(name, quick=quick, save=save, path=folder / BENCHMARKS))


def print_kept(folder: Path, name: Benchmark | None) -> None:
    """The kept rows of a benchmark, or of each how many there are and how far they reach; by
    machine, of each cell the newest."""
    from normlab.claims.run.benchmarks import rows_by_machine
    from normlab.cli.tables import plain_table, wide_console

    kept = rows_by_machine(folder)
    if name is not None:
        for machine, rows in kept.items():
            wanted = [row for row in rows if row.get("benchmark") == name]
            if wanted:
                print(machine)
                print_rows(wanted)
        return
    table = plain_table("machine", "benchmark", "rows", "void", "ratios", "torch", "newest")
    for machine, rows in kept.items():
        for benchmark in sorted({str(row.get("benchmark")) for row in rows}):
            of_it = [row for row in rows if row.get("benchmark") == benchmark]
            table.add_row(machine, benchmark, *_summary(of_it))
    wide_console().print(table)


def _summary(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    void = sum(bool(row.get("void")) for row in rows)
    ratios = [row["ratio"] for row in rows if row.get("ratio") and not row.get("void")]
    span = f"{min(ratios):.3g} to {max(ratios):.3g}" if ratios else ""
    torch = ", ".join(sorted({str(row["torch"]) for row in rows if row.get("torch")}))
    newest = max(str(row.get("measured", "")) for row in rows)[:10]
    return str(len(rows)), str(void), span, torch, newest


def print_rows(rows: Sequence[Mapping[str, object]]) -> None:
    """The rows as a table, without columns that no row has."""
    from normlab.cli.tables import plain_table, wide_console

    columns = [column for column in SHOWN if any(row.get(column) is not None for row in rows)]
    table = plain_table(*columns)
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    wide_console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
