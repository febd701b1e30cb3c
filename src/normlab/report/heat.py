"""The heat map: a loss by series and number, each cell between the best of all and the trivial loss."""

import math
import re

from markupsafe import Markup, escape

from normlab.claims.claim import Claim
from normlab.claims.trials import Trials, summary
from normlab.records.words import number
from normlab.report.words import metric_label

_NUMBER = re.compile(r"[ ,]*(?<!\S)(\d+(?:\.\d+)?)$")


def heat_map(claim: Claim, trials: Trials, detail: str | None) -> Markup:
    """`heat_map [loss] [over WORDS]`: arms named `post, warm-up, 12` make a row `post, warm-up` with a column 12.

    A cell holds the mean over seeds and says how many trials diverged; its tint is where the mean lies between the
    lowest of all cells (none) and the trivial loss (full), so that a cell which does not train stands out.
    """
    metric, _, over = (detail or "test_loss").partition(" over ")
    cells: dict[str, dict[float, tuple[float, int, int]]] = {}
    for arm in trials.records:
        found = _NUMBER.search(arm)
        points = trials.points(arm, metric)
        kept = summary(points)
        if found and kept:
            diverged = sum(point.diverged for point in points)
            cells.setdefault(arm[: found.start()], {})[float(found[1])] = (
                kept.mean,
                diverged,
                len(points),
            )
    columns = sorted({column for row in cells.values() for column in row})
    trivial = [record.metrics.get("trivial_loss") for record in trials.all()]
    if not cells or not isinstance(trivial[0], float):
        return Markup("")
    best = min(mean for row in cells.values() for mean, _, _ in row.values())
    head = Markup("").join(
        Markup('<th scope="col" class="num">{}</th>').format(f"{column:g}") for column in columns
    )
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            name, Markup("").join(_cell(row.get(column), best, trivial[0]) for column in columns)
        )
        for name, row in cells.items()
    )
    caption = (
        f"{metric_label(metric)} by {over or 'number'}, mean over seeds; the stronger the tint, the nearer to the "
        f"trivial loss of {number(trivial[0])} nats, at which a model ignores its input; the best cell has "
        f"{number(best)}."
    )
    return Markup(
        '<figure class="heat"><table><caption class="hidden">{}</caption><thead><tr><th></th>{}</tr></thead>'
        "<tbody>{}</tbody></table><figcaption>{}</figcaption></figure>"
    ).format(claim.statement, head, body, caption)


def _cell(cell: tuple[float, int, int] | None, best: float, trivial: float) -> Markup:
    if cell is None:
        return Markup("<td></td>")
    mean, diverged, count = cell
    share = min(1.0, max(0.0, (mean - best) / (trivial - best)))
    note = Markup("<small>{} of {} stuck</small>").format(diverged, count) if diverged else ""
    text = escape(number(mean)) if math.isfinite(mean) else escape("not finite")
    return Markup('<td class="num" style="--share: {}%">{}{}</td>').format(
        round(100 * share), text, note
    )
