"""The Weights & Biases workspace as code, and the run that brings the cost of kernels there."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.errors import NormLabError
from normlab.report.dashboard.series import BATCH, COST, CURVES, RATES, Series

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

STEP = "trainer/global_step"  # wandb's own step counts calls of log
GROUPED = {
    CURVES: "panels.placement_depth",
    "training loss by placement": "model.placement",
    "training loss by depth": "model.depth",
}
PROBES = {
    "gradient_norm/norm": "norm of the gradient",
    "activations/variance": "variance of activations",
}


def build_workspace(entity: str, project: str, charts: Sequence[str]) -> "Workspace":
    """The panels over the runs of `project`: what `panels.*` of a run's configuration says, see
    training/loggers.py.

    charts: those of `kernel_run`, a table each.

    Raises:
        NormLabError: wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
    except ImportError:
        raise NormLabError(
            "`normlab dashboard` needs wandb-workspaces: pip install 'normlab[dashboard]'."
        ) from None

    norm, batch = panels.Config("panels.norm"), panels.Config("panels.normalization_batch")
    accuracy, loss = (
        panels.SummaryMetric("final/test_accuracy"),
        panels.SummaryMetric("final/val_loss"),
    )
    rate = panels.Config("optim.lr")
    legend = "${config:panels.norm}"
    sections: dict[str, list[Any]] = {
        BATCH: [
            panels.ScatterPlot(
                title=BATCH, x=batch, y=accuracy, log_x=True, legend_template=legend
            ),
            panels.BarPlot(
                title="test accuracy by norm", metrics=["final/test_accuracy"], groupby=norm
            ),
        ],
        RATES: [
            panels.ScatterPlot(title=RATES, x=rate, y=loss, log_x=True, legend_template=legend),
            panels.ParallelCoordinatesPlot(
                columns=[
                    panels.ParallelCoordinatesPlotColumn(metric)
                    for metric in (norm, batch, rate, loss)
                ]
            ),
        ],
        CURVES: [
            panels.LinePlot(
                title=title,
                x=STEP,
                y=["train/loss"],
                groupby=panels.Config(key),
                groupby_aggfunc="mean",
                groupby_rangefunc="minmax",
            )
            for title, key in GROUPED.items()
        ],
        COST: [
            panels.CustomChart(
                query={"summaryTable": {"tableKey": chart}},
                chart_name="wandb/bar/v0",
                chart_fields={"label": "norm", "value": "copies"},
                chart_strings={"title": chart},
            )
            for chart in charts
        ],
        "inside the networks": [
            panels.LinePlot(
                title=f"{title} by layer", x=STEP, metric_regex=f"{prefix}/.*", log_y=True
            )
            for prefix, title in PROBES.items()
        ],
    }
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name="NormLab",
        sections=[
            workspaces.Section(name=name, panels=items, is_open=True)
            for name, items in sections.items()
        ],
    )


def specification(workspace: "Workspace") -> str:
    """The workspace as JSON, as it goes to the server."""
    view = workspace._to_model()  # the only way to it without a server
    return (
        json.dumps(json.loads(view.model_dump_json(by_alias=True, exclude_none=True)), indent=1)
        + "\n"
    )


def kernel_run(
    lines: Sequence[Series], folder: Path, project: str, entity: str | None, mode: str
) -> Path:
    """A run with a table of the cost of each kernel per chart; returns the folder that `wandb
    sync` takes."""
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(
        "WANDB_DATA_DIR", str(folder.resolve())
    )  # tables wait there for the sync, not at home
    run = wandb.init(
        project=project,
        entity=entity,
        name="kernel cost",
        job_type="bench",
        dir=str(folder),
        mode=mode,  # type: ignore[arg-type]
        reinit="create_new",
        settings=wandb.Settings(silent=True, init_timeout=30, console="off"),
    )
    failed = True
    try:  # `with run` would print a traceback of its own
        for chart in sorted({line.chart for line in lines}):
            rows: list[list[Any]] = [
                [line.name, x, y] for line in lines if line.chart == chart for x, y in line.points
            ]
            run.log({chart: wandb.Table(columns=["norm", "size", "copies"], data=rows)})
        failed = False
    finally:
        run.finish(exit_code=int(failed))
    return Path(run.dir).parent
