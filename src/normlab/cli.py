"""`normlab ...`. Importing this imports neither torch nor lightning: commands import what they use."""

from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(
    name="normlab",
    help="What is written about normalization layers, put to the test.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """What is written about normalization layers, put to the test."""


class Benchmark(StrEnum):
    """The benchmarks, by the module of normlab.bench that holds them."""

    data_path = "data-path"
    train_loop = "train-loop"
    startup = "startup"
    norm_layers = "norm-layers"


@app.command()
def bench(
    name: Annotated[Benchmark, typer.Argument(help="Which benchmark.")],
    quick: Annotated[bool, typer.Option(help="Fewer cells and rounds.")] = False,
    save: Annotated[bool, typer.Option(help="Append the rows to results/bench.jsonl.")] = True,
) -> None:
    """Measure a ratio, both sides in one process, and keep the rows."""
    from normlab.bench.store import run_benchmark

    run_benchmark(name.value, quick, save)


if __name__ == "__main__":
    app()
