"""A comparison as a run of Weights & Biases: its table, a figure, and each mean in its summary."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from normlab.report.comparison.compare import Comparison
from normlab.report.comparison.figure import picture
from normlab.report.comparison.tables import numbers_of

JOB_TYPE = "comparison"
FIGURE = "figure"  # means with their intervals, which a panel of the workspace shows


def log_comparison(
    comparison: Comparison, folder: Path, project: str = "normlab", group: str | None = None
) -> Path:
    """The folder of the run's files, in `folder`/wandb: online with a key, else offline.

    group: that of the runs compared, so that it stands beside them.

    Raises:
        NormLabError: matplotlib is not installed.
    """
    import wandb

    from normlab.training.loggers import wandb_mode

    mode, reason = wandb_mode()
    online: Any = mode
    run = wandb.init(
        project=project,
        name="comparison",
        group=group,
        job_type=JOB_TYPE,
        config={"by": list(comparison.names), "against": dict(comparison.against)},
        dir=str(folder),
        mode=online,
        reinit="create_new",
        settings=wandb.Settings(silent=True, init_timeout=30, console="off"),
    )
    files = Path(run.dir).parent
    try:
        _log(run, comparison)
    finally:
        run.finish()
    hint = f"; push it later with: wandb sync {files}" if mode == "offline" else ""
    print(f"wandb, comparison: {mode} ({reason}){hint}", file=sys.stderr)
    return files


def _log(run: Any, comparison: Comparison) -> None:
    import wandb

    heads, body = numbers_of(comparison)
    named = [[group.name, *cells] for group, cells in zip(comparison.groups, body, strict=True)]
    table = wandb.Table(columns=["group", *heads], data=named)
    logged: dict[str, Any] = {"comparison": table}
    for metric in comparison.metrics:
        # A panel of its own in the workspace of the project.
        logged[f"by group/{metric}"] = wandb.plot.bar(table, "group", metric, title=metric)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "comparison.png")
        path.write_bytes(picture(comparison, "png"))
        run.log({**logged, FIGURE: wandb.Image(str(path))})
    for group, cells in zip(comparison.groups, body, strict=True):
        for head, cell in zip(heads, cells, strict=True):
            if head not in comparison.names and cell is not None:
                run.summary[f"{group.name}/{head}"] = cell
