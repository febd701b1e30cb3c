"""`normlab compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from normlab.report.comparison.compare import Comparison


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of train.py's runs, as runs/sweep.")],
    by: Annotated[
        list[str] | None,
        typer.Option(help="Setting to group by; may be repeated.  [default: all that differ]"),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="SETTING=VALUE of the baseline, as norm=batchnorm; may be repeated."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="May be repeated; the first sorts.  [default: test_accuracy, test_loss]"),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(help="A file to write, .csv, .md, .svg or .png; may be repeated."),
    ] = None,
    wandb: Annotated[
        bool, typer.Option("--wandb", help="A summary run as well, with its files in RUNS/wandb.")
    ] = False,
) -> None:
    """Runs of a sweep, aggregated over seeds: means, 95 % intervals, differences to a baseline."""
    from normlab.errors import choices
    from normlab.records.console import plain_console
    from normlab.records.files import replacing
    from normlab.report.comparison.compare import METRICS
    from normlab.report.comparison.compare import compare as compared
    from normlab.report.comparison.runs import failure_lines, read_runs
    from normlab.report.comparison.tables import notes, terminal

    for path in out or ():  # before the work
        if path.suffix not in _CONTENT:
            raise choices("kind of --out file", path.name, _CONTENT)
    comparison = compared(read_runs(runs), by or (), against or (), metric or METRICS)
    console = plain_console(200)
    console.print(terminal(comparison))
    for sentence in (*notes(comparison), *failure_lines(comparison.failures)):
        console.print(sentence, highlight=False)
    for path in out or ():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_bytes(_content(comparison, path.suffix))
        print(f"written to {path}")
    if wandb:
        from normlab.report.comparison.wandb_run import log_comparison

        folder = runs[0] if runs[0].is_dir() else runs[0].parent
        log_comparison(comparison, folder)


_CONTENT = (".csv", ".md", ".svg", ".png")


def _content(comparison: "Comparison", suffix: str) -> bytes:
    """What a file of that kind holds."""
    from normlab.report.comparison.figure import picture
    from normlab.report.comparison.tables import csv_text, markdown

    match suffix:
        case ".csv":
            return csv_text(comparison).encode()
        case ".md":
            return markdown(comparison).encode()
        case _:
            return picture(comparison, suffix.removeprefix("."))
