"""The panels as event files: one TensorBoard run per line, one custom chart per claim or cell."""

import re
from collections.abc import Sequence
from pathlib import Path

from normlab.report.dashboard.series import PANELS, Series

# Ends the name of each file that is written here: a folder may hold a run's own beside them.
OURS = ".normlab-dashboard"


def write_events(lines: Sequence[Series], folder: Path) -> Path:
    """Write event files of `lines` in place of an earlier call's, with the layout of their charts.

    The tab "Custom Scalars" shows it. What lies on the axis is written as TensorBoard's step, a
    whole number, for it knows no other axis.
    """
    from torch.utils.tensorboard import SummaryWriter

    # TensorBoard joins all event files of a folder, those of an earlier call too.
    for written in folder.glob(f"*/events.out.tfevents.*{OURS}"):
        written.unlink()
    layout: dict[str, dict[str, list[object]]] = {}
    for line in lines:
        layout.setdefault(_title(line.panel), {})[line.chart] = ["Multiline", [f"{tag(line)}$"]]
    with SummaryWriter(str(folder / "layout"), filename_suffix=OURS) as writer:
        writer.add_custom_scalars(layout)
    # A run per name: TensorBoard gives colours by run.
    for name in sorted({line.name for line in lines}):
        with SummaryWriter(str(folder / _safe(name)), filename_suffix=OURS) as writer:
            for line in lines:
                for x, y in line.points if line.name == name else ():
                    writer.add_scalar(tag(line), y, x)
    return folder


def tag(line: Series) -> str:
    """Of the chart that shows `line`, without characters that mean something in an expression."""
    return f"{_safe(line.panel)}/{_safe(line.chart)}"


def _title(panel: str) -> str:
    return f"{panel} (x: {PANELS[panel]})"


def _safe(text: str) -> str:
    return re.sub(r"[^\w \-]", "_", text)
