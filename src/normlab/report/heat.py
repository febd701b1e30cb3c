"""The heat map: a loss by series and number, each cell between the best of all and the trivial
loss."""

import math
from dataclasses import dataclass

from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.figure import HeatMap
from normlab.claims.metrics import metric as metric_of
from normlab.claims.trials import Trials, summary
from normlab.records.words import number


@dataclass(frozen=True)
class _Cell:
    """The mean over `count` seeds, of which `diverged` did not train."""

    mean: float
    diverged: int
    count: int


def heat_map(claim: Claim, figure: HeatMap, trials: Trials) -> Markup:
    """A cell holds the mean over seeds and says how many trials diverged.

    Its tint is where the mean lies between the lowest of all cells (none) and the trivial loss
    (full), so that a cell which does not train stands out.
    """
    rows = _rows(claim, figure, trials)
    trivial = trials.trivial_loss()
    if not rows or trivial is None:
        return Markup("")
    columns = sorted({column for row in rows.values() for column in row})
    best = min(cell.mean for row in rows.values() for cell in row.values())
    head = Markup("").join(_heading(column) for column in columns)
    body = Markup("")
    for name, row in rows.items():
        cells = Markup("").join(_drawn(row.get(column), best, trivial) for column in columns)
        body += Markup('<tr><th scope="row">{}</th>{}</tr>').format(name, cells)
    caption = (
        f"{metric_of(figure.metric).words} by {figure.x_label}, mean over seeds; the stronger the "
        f"tint, the nearer to the trivial loss of {number(trivial)} nats, at which a model ignores "
        f"its input; the best cell has {number(best)}."
    )
    return Markup(
        '<figure class="heat"><table><caption class="hidden">{}</caption><thead><tr><th></th>{}'
        "</tr></thead><tbody>{}</tbody></table><figcaption>{}</figcaption></figure>"
    ).format(claim.statement, head, body, caption)


def _rows(claim: Claim, figure: HeatMap, trials: Trials) -> dict[str, dict[float, _Cell]]:
    """Row -> column -> cell, from the arms' coordinates."""
    rows: dict[str, dict[float, _Cell]] = {}
    for arm in claim.arms:
        column, points = arm.at.get(figure.x), trials.points(arm.name, figure.metric)
        kept = summary(points)
        if kept is None or not isinstance(column, int | float):
            continue
        name = ", ".join(str(arm.at[key]) for key in figure.by if key in arm.at)
        diverged = sum(point.diverged for point in points)
        rows.setdefault(name, {})[float(column)] = _Cell(kept.mean, diverged, len(points))
    return rows


def _heading(column: float) -> Markup:
    return Markup('<th scope="col" class="num">{}</th>').format(f"{column:g}")


def _drawn(cell: _Cell | None, best: float, trivial: float) -> Markup:
    if cell is None:
        return Markup("<td></td>")
    note = Markup("")
    if cell.diverged:
        note = Markup("<small>{} of {} stuck</small>").format(cell.diverged, cell.count)
    text = number(cell.mean) if math.isfinite(cell.mean) else "not finite"
    tint = round(100 * _share(cell.mean, best, trivial))
    return Markup('<td class="num" style="--share: {}%">{}{}</td>').format(tint, text, note)


def _share(mean: float, best: float, trivial: float) -> float:
    """Of the way from the best mean to the trivial loss."""
    # Beyond the trivial loss the tint is full, and the number tells the rest. Where no cell is
    # better than it, nothing has trained, and there is no way to be part of.
    return min(1.0, (mean - best) / (trivial - best)) if best < trivial else 1.0
