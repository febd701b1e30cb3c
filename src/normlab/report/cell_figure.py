"""Ratios of times over the size of the input, from the records of timed trials."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.figure import Cells
from normlab.claims.stats import t_interval
from normlab.claims.trials import Trials
from normlab.measure.timing.trials import LOG
from normlab.records.record import Record
from normlab.records.words import number, tick
from normlab.report.plot import Dot, Plot, Series
from normlab.report.scale import Scale
from normlab.report.sweep import spoken


def cells(claim: Claim, figure: Cells, trials: Trials) -> Markup:
    """A line for each arm; a mark is one reading's median over the cells of that size."""
    series: list[Series] = []
    for arm, by_seed in trials.records.items():
        if figure.arms and arm not in figure.arms:
            continue
        counted = {seed: one for seed, one in by_seed.items() if trials.counts(arm, seed)}
        one = _series(arm, counted, len(series))
        if one.means:
            series.append(one)
    if not series:
        return Markup("")
    # Without a band 1 is where both sides are equally fast, and stays in sight.
    low, high = (figure.band.low, figure.band.high) if figure.band else (1.0, 1.0)
    xs = sorted({x for one in series for x, *_ in one.means})
    ys = [dot.y for one in series for dot in one.dots]
    return Plot(
        title=claim.statement,
        description="; ".join(spoken(one) for one in series),
        x_label=figure.x_label,
        y_label=f"{figure.y_label} (log scale)",
        # Sizes that span a factor of 8 are doublings, and crowd at one end of a linear axis.
        x=Scale.around(xs, len(xs) > 1 and xs[-1] >= 8 * xs[0], xs),
        y=Scale.around([low, high, *ys], log=True),
        series=series,
        rules=[(high, figure.band.words)] if figure.band else [(1.0, "as fast")],
        area=(low, high) if figure.band else None,
    ).svg()


def _series(name: str, by_seed: Mapping[int, Record], index: int) -> Series:
    one = Series(name, [], index=index)
    by_x: dict[float, list[float]] = defaultdict(list)  # size -> the readings' medians
    for seed, record in sorted(by_seed.items()):
        for x, values in sorted(_by_size(record).items()):
            # Of the dtypes, formats and modes of one size, so that a size is one mark per reading.
            middle = float(np.median(values))
            by_x[x].append(middle)
            ratio = math.exp(middle)
            one.dots.append(Dot(x, ratio, f"{name}, {tick(x)}, reading {seed}: {number(ratio)}"))
    for x, middles in sorted(by_x.items()):
        # On the log scale, as the rules decide, and transformed back.
        mean, low, high = (float(value) for value in np.exp(t_interval(np.array(middles))))
        # One reading has an interval without ends.
        ends = (low, high) if len(middles) > 1 else (None, None)
        one.means.append((x, mean, *ends))
    return one


def _by_size(record: Record) -> dict[float, list[float]]:
    """Log ratios of the cells that are not void, by size."""
    logs: dict[float, list[float]] = defaultdict(list)
    for metric, value in record.metrics.items():
        # A void cell is null in the record.
        if metric.startswith(LOG) and value is not None and math.isfinite(value):
            size = size_of_cell(metric.removeprefix(LOG), record.section("options"))
            logs[size].append(value)
    return logs


def size_of_cell(name: str, options: Mapping[str, Any]) -> float:
    """What a cell is drawn over: the last side of its shape, or the size or width of its step.

    name: as in the metrics; options: those of its trial, which list every shape. A record keeps
    them in alphabetical order, so that a step is known by its items and not by their order.
    """
    grid = options["grids"][options["grid"]]
    for step in grid.get("steps", ()):
        if set(name.split(", ")) == {f"{side} {value}" for side, value in step.items()}:
            return float(step["size"] if "size" in step else step["width"])
    shapes = {"x".join(map(str, shape)): shape for shape in grid.get("shapes", ())}
    return float(shapes[name.split()[0]][-1])
