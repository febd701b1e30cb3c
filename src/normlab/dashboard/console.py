"""What `normlab dashboard` does and prints."""

import os
from pathlib import Path

from normlab.claims.store import RESULTS
from normlab.dashboard.series import COST, all_series, read_bench, read_records
from normlab.dashboard.tensorboard import write_events
from normlab.dashboard.workspace import build_workspace, kernel_run, specification

NOBODY = "your-entity"  # stands in a specification that was written offline


def dashboard_from_console(records: Path | None, out: Path, project: str, entity: str | None) -> None:
    """Write the event files, the kernels' run and the workspace: to the server with a key, else to files."""
    from normlab.training.loggers import wandb_mode

    folder = records or RESULTS
    lines = all_series(read_records(folder), read_bench(folder))
    events = write_events(lines, out / "tensorboard")
    print(f"TensorBoard, {len(lines)} lines: tensorboard --logdir {events}, tab Custom Scalars, Smoothing at 0")
    if not lines:
        print(f"Nothing to draw: no runs in {folder} differ in normalization batch, learning rate or placement.")

    mode, reason = wandb_mode()
    online = mode == "online"
    costs = [line for line in lines if line.panel == COST]
    if costs and mode in ("online", "offline"):
        run = kernel_run(costs, out, project, entity, mode)
        if not online:
            print(f"wandb, kernel cost: offline ({reason}); push it later with: wandb sync {run}")
    owner = entity or os.environ.get("WANDB_ENTITY") or (_default_entity() if online else NOBODY)
    workspace = build_workspace(owner, project, sorted({line.chart for line in costs}))
    path = out / "workspace.json"
    path.write_text(specification(workspace))
    if online:
        print(f"wandb workspace: {workspace.save().url}")
        return
    print(f"wandb workspace: {path}, offline ({reason}); push it later, with a key: wandb login && normlab dashboard")
    print("Runs of logger=wandb that were offline: wandb sync RUN_DIRECTORY/wandb/offline-run-*")


def _default_entity() -> str:
    import wandb

    return wandb.Api().default_entity or NOBODY
