"""What `normlab dashboard` does and prints."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import NormLabError
from normlab.records.places import RESULTS
from normlab.report.dashboard.series import COST, Series, all_series, read_bench, read_records
from normlab.report.dashboard.tensorboard import write_events
from normlab.report.dashboard.workspace import build_workspace, kernel_run, specification

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

NOBODY = "your-entity"  # stands in a specification that was written offline


def dashboard_from_console(
    records: Path | None, out: Path, project: str, entity: str | None
) -> None:
    """Write the event files and the workspace's specification; with a key, push it and the kernels' run.

    Raises:
        NormLabError: there is a key, and the push failed; the files are written.
    """
    from normlab.training.loggers import wandb_mode

    folder = records or RESULTS
    lines = all_series(read_records(folder), read_bench(folder))
    events = write_events(lines, out / "tensorboard")
    print(
        f"TensorBoard, {len(lines)} lines: tensorboard --logdir {events}, tab Custom Scalars, Smoothing at 0"
    )
    if not lines:
        print(
            f"Nothing to draw: no runs in {folder} differ in normalization batch, learning rate or placement."
        )

    owner = entity or os.environ.get("WANDB_ENTITY")
    costs = [line for line in lines if line.panel == COST]
    path = out / "workspace.json"
    _written(path, owner, project, costs)
    later = _command(records, out, project, entity)
    mode, reason = wandb_mode()
    if mode == "online":
        try:
            url = _push(path, owner, project, costs)
        except Exception as error:  # of wandb's, which have no class in common
            reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
            raise NormLabError(
                f"wandb took no workspace ({reason}): it is in {path}; push it later with: {later}"
            ) from None
        print(f"wandb workspace: {url}")
        return
    if costs and mode == "offline":
        run = kernel_run(costs, out, project, entity, mode)
        print(
            f"wandb, kernel cost: offline ({reason}); push it later with: wandb sync {shlex.quote(str(run))}"
        )
    print(f"wandb workspace: {path}, offline ({reason}); push it later, with a key: {later}")
    print("Runs of logger=wandb that were offline: wandb sync RUN_DIRECTORY/wandb/offline-run-*")


def _push(path: Path, owner: str | None, project: str, costs: Sequence[Series]) -> str:
    """Where the workspace is, now that it and the kernels' run are there."""
    import wandb

    server = wandb.Api()  # says what is wrong with a key; a run does not
    owner = owner or server.default_entity
    if costs:
        kernel_run(costs, path.parent, project, owner, "online")
    return _written(path, owner, project, costs).save().url


def _written(path: Path, owner: str | None, project: str, costs: Sequence[Series]) -> "Workspace":
    """The workspace, with its specification at `path`."""
    workspace = build_workspace(owner or NOBODY, project, sorted({line.chart for line in costs}))
    path.write_text(specification(workspace))
    return workspace


def _command(records: Path | None, out: Path, project: str, entity: str | None) -> str:
    """What pushes all of it: the same command again, with a key."""
    given = {"--records": records, "--out": out, "--project": project, "--entity": entity}
    options = [
        word for name, value in given.items() if value is not None for word in (name, str(value))
    ]
    return f"wandb login && {shlex.join(['normlab', 'dashboard', *options])}"
