"""The Weights & Biases workspace as code, and the run that brings the cost of kernels there."""

import importlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from normlab.errors import NormLabError
from normlab.report.comparison.wandb_run import FIGURE
from normlab.report.dashboard.series import BATCH, COST, CURVES, RATES, Series

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

Mode = Literal["online", "offline"]

COMPARISON = "comparisons over seeds"
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
    """The panels over the runs of `project`.

    They show what `panels.*` of a run's configuration says, see training/loggers.py. `charts` are
    those of `kernel_run`, a table each.

    Raises:
        NormLabError: wandb-workspaces is not installed.
    """
    try:
        from wandb_workspaces import workspaces

        # As Any: this module hands on its names without saying so, and type checkers miss them.
        panels: Any = importlib.import_module("wandb_workspaces.reports.v2")
    except ImportError:
        raise NormLabError(
            "`normlab dashboard` needs wandb-workspaces: pip install 'normlab[dashboard]'."
        ) from None
    sections = {**_result_panels(panels), CURVES: _curve_panels(panels)}
    sections[COST] = [_cost_panel(panels, chart) for chart in charts]
    sections[COMPARISON] = _comparison_panels(panels)
    sections["inside the networks"] = _probe_panels(panels)
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name="NormLab",
        sections=[
            workspaces.Section(name=name, panels=items, is_open=True)
            for name, items in sections.items()
        ],
    )


def _result_panels(panels: Any) -> dict[str, list[Any]]:
    """What runs end with, against the normalization batch and against the learning rate."""
    norm, batch = panels.Config("panels.norm"), panels.Config("panels.normalization_batch")
    rate, loss = panels.Config("optim.lr"), panels.SummaryMetric("final/val_loss")
    accuracy = panels.SummaryMetric("final/test_accuracy")
    look = {"log_x": True, "legend_template": "${config:panels.norm}"}
    # Those of the two scatter plots together.
    axes = [panels.ParallelCoordinatesPlotColumn(metric) for metric in (norm, batch, rate, loss)]
    return {
        BATCH: [
            panels.ScatterPlot(title=BATCH, x=batch, y=accuracy, **look),
            panels.BarPlot(
                title="test accuracy by norm", metrics=["final/test_accuracy"], groupby=norm
            ),
        ],
        RATES: [
            panels.ScatterPlot(title=RATES, x=rate, y=loss, **look),
            panels.ParallelCoordinatesPlot(columns=axes),
        ],
    }


def _curve_panels(panels: Any) -> list[Any]:
    """Training loss over the steps, runs that agree in one setting drawn as one line."""
    return [
        panels.LinePlot(
            title=title,
            x=STEP,
            y=["train/loss"],
            groupby=panels.Config(key),
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )
        for title, key in GROUPED.items()
    ]


def _comparison_panels(panels: Any) -> list[Any]:
    """What a sweep or `normlab compare` ends with: means over seeds with their 95 % intervals."""
    return [panels.MediaBrowser(title="means and 95 % intervals over seeds", media_keys=[FIGURE])]


def _cost_panel(panels: Any, chart: str) -> Any:
    """Bars of one table of `kernel_run`."""
    return panels.CustomChart(
        query={"summaryTable": {"tableKey": chart}},
        chart_name="wandb/bar/v0",
        chart_fields={"label": "norm", "value": "copies"},
        chart_strings={"title": chart},
    )


def _probe_panels(panels: Any) -> list[Any]:
    """What the probes log, a line for each layer."""
    return [
        panels.LinePlot(title=f"{title} by layer", x=STEP, metric_regex=f"{prefix}/.*", log_y=True)
        for prefix, title in PROBES.items()
    ]


def specification(workspace: "Workspace") -> str:
    """The workspace as JSON, as it goes to the server."""
    view = workspace._to_model()  # the only way to it without a server
    fields = json.loads(view.model_dump_json(by_alias=True, exclude_none=True))
    return json.dumps(fields, indent=1) + "\n"


def kernel_run(
    lines: Sequence[Series], folder: Path, project: str, entity: str | None, mode: Mode
) -> Path:
    """A run with a table of the cost of kernels per chart; the folder that `wandb sync` takes."""
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    # Tables wait there for the sync, not in the user's home.
    os.environ.setdefault("WANDB_DATA_DIR", str(folder.resolve()))
    run = wandb.init(
        project=project,
        entity=entity,
        name="kernel cost",
        job_type="bench",
        dir=str(folder),
        mode=mode,
        reinit="create_new",
        settings=wandb.Settings(silent=True, init_timeout=30, console="off"),
    )
    failed = True
    try:  # `with run` would print a traceback of its own
        for chart, rows in _tables(lines).items():
            run.log({chart: wandb.Table(columns=["norm", "size", "copies"], data=rows)})
        failed = False
    finally:
        run.finish(exit_code=int(failed))
    return Path(run.dir).parent


def _tables(lines: Sequence[Series]) -> dict[str, list[list[str | int | float]]]:
    """By chart, a row for each point: norm, size, copies of the input."""
    tables: dict[str, list[list[str | int | float]]] = {}
    for chart in sorted({line.chart for line in lines}):
        rows = tables.setdefault(chart, [])
        for line in lines:
            # A table per chart: bars of a panel come from one table.
            if line.chart == chart:
                rows += [[line.name, x, y] for x, y in line.points]
    return tables
