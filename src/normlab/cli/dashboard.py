"""`normlab dashboard`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    records: Annotated[
        Path | None,
        typer.Option(help="A results folder, or one of train.py's runs.  [default: results/]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where files are written.")] = Path("runs/dashboard"),
    project: Annotated[str, typer.Option(help="Of Weights & Biases.")] = "normlab",
    entity: Annotated[
        str | None, typer.Option(help="User or team there.  [default: yours]")
    ] = None,
) -> None:
    """The same panels for TensorBoard and as a Weights & Biases workspace; without a key, in
    files."""
    from normlab.records.places import RESULTS
    from normlab.report.dashboard.publish import Destination, publish
    from normlab.report.dashboard.series import all_series, read_bench, read_records
    from normlab.report.dashboard.tensorboard import write_events

    folder = records or RESULTS
    lines = all_series(read_records(folder), read_bench(folder))
    events = write_events(lines, out / "tensorboard")
    print(
        f"TensorBoard, {len(lines)} lines: tensorboard --logdir {events}, "
        "tab Custom Scalars, Smoothing at 0"
    )
    if not lines:
        print(
            f"Nothing to draw: no runs in {folder} differ in normalization batch, "
            "learning rate or placement."
        )
    later = _command(records, out, project, entity)
    destination = Destination(out, project, entity)
    workspace = publish(lines, destination, later)
    if workspace.url:
        print(f"wandb workspace: {workspace.url}")
        return
    if workspace.kernel_run is not None:
        run = shlex.quote(str(workspace.kernel_run))
        print(
            f"wandb, kernel cost: offline ({workspace.reason}); "
            f"push it later with: wandb sync {run}"
        )
    print(
        f"wandb workspace: {destination.path}, offline ({workspace.reason}); "
        f"push it later, with a key: {later}"
    )
    print("Runs of logger=wandb that were offline: wandb sync RUN_DIRECTORY/wandb/offline-run-*")


def _command(records: Path | None, out: Path, project: str, entity: str | None) -> str:
    """What pushes all of it: the same command again, with a key."""
    given = {"--records": records, "--out": out, "--project": project, "--entity": entity}
    words = ["normlab", "dashboard"]
    for name, value in given.items():
        if value is not None:
            words += [name, str(value)]
    return f"wandb login && {shlex.join(words)}"
