"""The workspace at Weights & Biases: pushed with a key, else in files that can be pushed later."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import NormLabError
from normlab.report.dashboard.series import COST, Series
from normlab.report.dashboard.workspace import build_workspace, kernel_run, specification

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

NOBODY = "your-entity"  # stands in a specification that was written offline


@dataclass(frozen=True)
class Destination:
    """Where a workspace goes: files to `folder`, the rest to `project` of `entity`.

    entity: None means that of the environment, or the key's own.
    """

    folder: Path
    project: str
    entity: str | None = None

    @property
    def owner(self) -> str | None:
        """The entity, or that of the environment; None where only the server knows it."""
        return self.entity or os.environ.get("WANDB_ENTITY")

    @property
    def path(self) -> Path:
        """Of the workspace's specification."""
        return self.folder / "workspace.json"


@dataclass(frozen=True)
class PublishedWorkspace:
    """`url` is where the workspace is; "" offline, and then `reason` says why it is only in files.

    kernel_run: the folder of an offline run with the cost of kernels, for `wandb sync`.
    """

    url: str = ""
    reason: str = ""
    kernel_run: Path | None = None


def publish(lines: Sequence[Series], destination: Destination, later: str) -> PublishedWorkspace:
    """Write the workspace's specification; with a key, push it and the kernels' run.

    later: the command that pushes it, for the sentence that is said where that fails now.

    Raises:
        NormLabError: there is a key, and the push failed; the files are written.
    """
    from normlab.training.loggers import wandb_mode

    costs = [line for line in lines if line.panel == COST]
    # First, so that what was asked for is there even if the push fails.
    _write(destination, destination.owner, costs)
    mode, reason = wandb_mode()
    if mode == "online":
        try:
            return PublishedWorkspace(_push(destination, costs))
        except Exception as error:  # of wandb's, which have no class in common
            reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
            raise NormLabError(
                f"wandb took no workspace ({reason}): it is in {destination.path}; "
                f"push it later with: {later}"
            ) from None
    # Where wandb is switched off nothing is written that it would have to sync.
    if not costs or mode != "offline":
        return PublishedWorkspace(reason=reason)
    to = destination
    run = kernel_run(costs, to.folder, to.project, to.entity, "offline")
    return PublishedWorkspace(reason=reason, kernel_run=run)


def _push(destination: Destination, costs: Sequence[Series]) -> str:
    """Where the workspace is, now that it and the kernels' run are there."""
    import wandb

    server = wandb.Api()  # says what is wrong with a key; a run does not
    owner = destination.owner or server.default_entity
    if costs:
        kernel_run(costs, destination.folder, destination.project, owner, "online")
    workspace: Any = _write(destination, owner, costs)  # whose `save` says no types
    return str(workspace.save().url)


def _write(destination: Destination, owner: str | None, costs: Sequence[Series]) -> "Workspace":
    """The workspace, with its specification written."""
    charts = sorted({line.chart for line in costs})
    workspace = build_workspace(owner or NOBODY, destination.project, charts)
    destination.path.write_text(specification(workspace))
    return workspace
