"""The figures of a score: a strip for each ability, and accuracy by normalization batch."""

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from normlab.claims.trials import Point, summary
from normlab.records.words import listed, number
from normlab.report.marks import MARKS, SERIES, line, mark, percent, text
from normlab.report.plot import Dot, Plot, Series
from normlab.report.scale import Scale
from normlab.report.score_words import value
from normlab.score.battery import SGD_BATCH
from normlab.score.row import Row
from normlab.score.subject import Subject
from normlab.score.table import Cell, Line, Score

ROW_HEIGHT = 12  # of one norm in a strip, in pixels


def ability_strips(score: Score) -> Markup:
    """A strip for each ability, with a mark and an interval for each norm, and the bound.

    Identities hold or do not, so that there is nothing to draw of them.
    """
    keys = "".join(_key(index, name) for index, name in enumerate(score.norms))
    measured = [line for line in score.lines if not line.row.exact]
    strips = "".join(_strip(line, score.norms) for line in measured)
    return Markup(f'<ul class="legend">{keys}</ul><div class="strips">{strips}</div>')


def _key(index: int, name: str) -> str:
    shape = MARKS[index % len(MARKS)]
    return (
        f'<li class="s{index % SERIES}"><svg class="key" aria-hidden="true">'
        f'<svg x="17" y="8" class="over"><path class="mark" d="{shape}"/></svg></svg>'
        f"{escape(name)}</li>"
    )


def _strip(one: Line, norms: Sequence[str]) -> str:
    """Label, unit and drawing of one ability; where no norm has a value, why."""
    row = one.row
    label = f'<span class="arm">{escape(row.name)}</span>'
    cells = {name: cell for name, cell in one.cells.items() if cell.value is not None}
    if not cells:
        why = listed(sorted({cell.verdict for cell in one.cells.values()}))
        return f'{label}<span class="value"><small>{why}</small></span><svg class="strip"></svg>'
    asked = f"<small>{escape(row.unit)}, {row.asked}</small>"
    height = ROW_HEIGHT * len(norms) + 8
    spoken = "; ".join(f"{name}: {value(row, cell)}" for name, cell in cells.items())
    return (
        f'{label}<span class="value">{asked}</span>'
        f'<svg class="strip" style="height: {height + 18}px" role="img" '
        f'aria-label="{escape(spoken)}">{_drawing(row, cells, norms, height)}</svg>'
    )


def _drawing(row: Row, cells: Mapping[str, Cell], norms: Sequence[str], height: int) -> str:
    """The good side of the bound, then the norms from top to bottom, then the axis."""
    # The bound is in sight even where all norms lie far from it.
    bound = row.shown(row.bound)
    scale = Scale.around([*_ends(cells.values()), bound], row.log, pad=0.12)
    left, right = (scale(bound), 100.0) if row.sign > 0 else (0.0, scale(bound))
    pieces = [
        f'<rect class="zone yes" x="{percent(left)}" y="0" width="{percent(right - left)}" '
        f'height="{height}"/>',
        line(scale(bound), "0", scale(bound), str(height), "zone-edge yes"),
    ]
    for index, name in enumerate(norms):
        if name in cells:
            pieces += _norm_mark(row, cells[name], index, scale)
    pieces += [text(x, str(height + 13), label, "tick x") for x, label in scale.ticks(4)]
    return "".join(pieces)


def _ends(cells: Iterable[Cell]) -> list[float]:
    """Means and ends of intervals, as far as there are any."""
    ends = []
    for cell in cells:
        ends += [end for end in (cell.low, cell.value, cell.high) if end is not None]
    return ends


def _norm_mark(row: Row, cell: Cell, index: int, scale: Scale) -> list[str]:
    """The 95 % interval, and the mark of the mean over it."""
    y, colour = str(10 + ROW_HEIGHT * index), f"s{index % SERIES}"
    pieces = []
    if cell.low is not None and cell.high is not None:
        interval = line(scale(cell.low), y, scale(cell.high), y, "whisker")
        pieces.append(f'<g class="{colour}">{interval}</g>')
    if cell.value is not None:
        title = f"{cell.norm}: {value(row, cell)}"
        pieces.append(mark(scale(cell.value), y, index, colour, title))
    return pieces


def batch_curve(score: Score) -> Markup:
    """Accuracy against the normalization batch; "" where no norm of the page depends on it."""
    lines: list[Series] = []
    bands: list[Series] = []
    pictured = [norm for norm in (score.subject, *score.references) if norm.name in score.batches]
    for index, norm in enumerate(pictured):
        by_size = score.batches[norm.name]
        series = _series(norm, by_size, index)
        if series.means:
            # A norm that is measured once has the same result for every batch.
            # Its bands are drawn over all x.
            (bands if len(by_size) == 1 else lines).append(series)
    if not lines:
        return Markup("")
    values: list[float] = []
    ticks: set[float] = set()
    starts = []
    for one in lines:
        # A tick for each batch that some norm ran, and no others.
        ticks |= {x for x, *_ in one.means}
        starts.append(f"{one.name} has {number(one.means[0][1])} % at {one.means[0][0]:g}")
    for one in (*lines, *bands):
        values += [dot.y for dot in one.dots]
    return Plot(
        title="Accuracy against the normalization batch",
        description="; ".join(starts),
        x_label="normalization batch: samples that share their statistics, "
        f"in SGD batches of {SGD_BATCH}",
        y_label="test accuracy, %",
        x=Scale.around([], True, sorted(ticks)),
        y=Scale.around(values),
        series=lines,
        bands=bands,
    ).svg()


def _series(norm: Subject, by_size: Mapping[int, list[Point]], index: int) -> Series:
    """A norm's means with intervals, and a mark for each seed, by rising batch."""
    series = Series(norm.name, [], index=index, short=norm.short)
    for size, points in sorted(by_size.items()):
        mean = summary(points)
        if mean is not None:
            series.means.append((float(size), mean.mean, mean.low, mean.high))
    for size, points in by_size.items():
        for point in points:
            title = f"{norm.name}, {size}, seed {point.seed}: {number(point.value)} %"
            series.dots.append(Dot(float(size), point.value, title, point.diverged))
    return series
