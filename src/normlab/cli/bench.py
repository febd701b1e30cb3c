"""`normlab bench`."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from normlab.claims.run.benchmarks import Benchmark

# What a reader looks at; a row holds everything else that could explain its ratio.
SHOWN = (
    "benchmark", "subject", "kind", "baseline", "batch_size", "shape", "memory_format", "dtype",
    "mode", "device", "ratio", "ratio_low", "ratio_high", "control", "void", "goal",
    "epochs", "core_minutes", "step_ms", "test_accuracy", "reaches",
)  # fmt: skip


def bench(
    name: Annotated[Benchmark, typer.Argument(help="Which benchmark.")],
    quick: Annotated[bool, typer.Option(help="Fewer cells and rounds.")] = False,
    save: Annotated[bool, typer.Option(help="Append the rows to results/bench.jsonl.")] = True,
) -> None:
    """Measure a ratio, both sides in one process, and keep the rows."""
    from normlab.claims.run.benchmarks import run_benchmark

    print_rows(run_benchmark(name, quick=quick, save=save))


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
