"""A comparison as a picture: a row for each group, its runs as marks, mean and interval."""

import io
from typing import Any

from normlab.claims.metrics import metric as metric_of
from normlab.report.comparison.compare import Comparison, Group
from normlab.report.headline import THEMES
from normlab.report.svg_style import fixed_style

FORMATS = ("svg", "png")
_INK, _GRID = THEMES["light"].ink, THEMES["light"].grid
_RUN, _DIVERGED = "#0a58ca", "#b35900"
_WIDTH, _ROW, _ENDS = 7.6, 0.32, 0.9  # inches: of all, of a row, of axis and edge


def picture(comparison: Comparison, form: str = "svg") -> bytes:
    """The first metric of the groups, the best on top; a baseline's mean is a dashed line.

    form: one of FORMATS.

    Raises:
        NormLabError: matplotlib is not installed.
    """
    with fixed_style("compare", "a figure"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        height = _ENDS + _ROW * len(comparison.groups)
        figure = Figure((_WIDTH, height), layout="constrained")
        _draw(figure.add_subplot(), comparison)
        content = io.BytesIO()
        if form == "svg":
            canvas: Any = FigureCanvasSVG(figure)
            canvas.print_svg(content, metadata={"Date": None, "Creator": None})
        else:
            canvas = FigureCanvasAgg(figure)
            figure.set_dpi(144)
            canvas.print_png(content)
    return content.getvalue()


def _draw(axes: Any, comparison: Comparison) -> None:
    metric = comparison.metrics[0]
    for place, group in enumerate(comparison.groups):
        _row(axes, -place, group, metric)
    names = [f"{group.name}  (n = {len(group.runs)})" for group in comparison.groups]
    axes.set_yticks([-place for place in range(len(names))], names)
    axes.set_ylim(0.6 - len(names), 0.6)
    axes.set_xlabel(metric_of(metric).label, color=_INK)
    axes.tick_params(colors=_INK, length=0)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _row(axes: Any, y: float, group: Group, metric: str) -> None:
    points = [*group.points(metric).values()]
    for diverged, marker, colour in ((False, "o", _RUN), (True, "x", _DIVERGED)):
        values = [point.value for point in points if point.diverged is diverged]
        axes.plot(values, [y] * len(values), marker, color=colour, markersize=4, alpha=0.6)
    mean = group.values[metric]
    if mean is None:
        return
    if group.baseline:
        axes.axvline(mean.mean, color=_INK, linewidth=0.8, linestyle=(0, (5, 2)))
    if mean.low is not None and mean.high is not None:
        axes.plot([mean.low, mean.high], [y, y], color=_RUN, linewidth=6, alpha=0.2,
                  solid_capstyle="butt")  # fmt: skip
    axes.plot([mean.mean], [y], "|", color=_INK, markersize=12, markeredgewidth=1.6)
