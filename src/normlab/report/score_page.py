"""The page of a score: one file that needs nothing else, in the style of the report."""

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from normlab.claims.trials import Point, summary
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, PARTLY, REFUTED, SUPPORTED
from normlab.records.words import device_label, listed, number
from normlab.report.build import HERE
from normlab.report.marks import MARKS, SERIES, SYMBOLS, line, mark, percent, text
from normlab.report.plot import Dot, Plot, Series
from normlab.report.scale import Scale
from normlab.report.score_words import against, difference, judged, said, value
from normlab.report.words import CLASSES
from normlab.score.battery import SGD_BATCH
from normlab.score.decide import BARRED, BETTER, SAME, WORSE, Comparison, Line, Score
from normlab.score.subject import Subject

KINDS = {**CLASSES, BARRED: "none"}
_WORDS = {BETTER: "yes", WORSE: "no", SAME: "ink"}


def html(found: Score) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    name = found.subject.name
    words = said(found)
    return environment.get_template("score.html.j2").render(
        style=(HERE / "style.css").read_text(),
        symbols=Markup(SYMBOLS),
        classes=KINDS,
        name=name,
        references=[one.name for one in found.references] or ["nothing"],
        norms=[name, *(one.name for one in found.references)],
        made=_made(found),
        command=_command(found),
        notes=_notes(found),
        words=[
            ("Can", CLASSES[SUPPORTED], [f"{name} {sentence}." for sentence in words.can]),
            ("Cannot", CLASSES[REFUTED], [f"{name} {sentence}." for sentence in words.cannot]),
            ("Undecided", CLASSES[INCONCLUSIVE], words.open),
            ("Cannot enter", CLASSES[NO_DATA], words.barred),
        ],
        against=against(found),
        figure=dots(found),
        curve=_curve(found),
        lines=[_row(one, found) for one in found.lines],
    )


def _made(found: Score) -> str:
    """Data, device and profile, in a sentence each."""
    data, devices = listed(sorted(found.data)), listed(sorted(map(device_label, found.devices)))
    made = (
        f"Profile {found.profile}"
        + (f" on {devices}" if devices else "")
        + (f"; {data}" if data else "")
        + "."
    )
    return made + (
        " This profile only shows that everything runs." if found.profile == "smoke" else ""
    )


def _command(found: Score) -> str:
    """What builds this page."""
    subject = found.subject
    given = (subject.options.get("options") or {}) if subject.kind == "custom" else subject.options
    words = [
        "normlab score",
        _target(subject),
        *(f"--option {key}={item}" for key, item in given.items()),
    ]
    return " ".join(
        [
            *words,
            f"--against {','.join(map(_target, found.references))}",
            f"--profile {found.profile}",
        ]
    )


def _target(subject: Subject) -> str:
    return str(subject.options["target"]) if subject.kind == "custom" else subject.kind


def _short(name: str) -> str:
    """`MyNorm` of `my_package.MyNorm eps=0.01`, for below an axis."""
    return name.split(" ")[0].split(".")[-1]


def _notes(found: Score) -> list[str]:
    return [f"stale: {reason}" for reason in sorted(found.stale)]


def _row(one: Line, found: Score) -> dict[str, Any]:
    cells = []
    for norm, cell in one.cells.items():
        compared = one.comparisons.get(norm)
        shown = "" if cell.value is None else value(one.row, cell)
        cells.append(
            {
                "value": shown or cell.text,
                "verdict": cell.verdict,
                "difference": None
                if compared is None
                else difference(one.row, compared) or compared.text,
                "judged": "" if compared is None else judged(compared),
                "kind": "" if compared is None else _kind(compared),
            }
        )
    return {
        "name": one.row.name,
        "measured": one.row.measured,
        "asked": one.row.asked,
        "cells": cells,
    }


def _kind(compared: Comparison) -> str:
    return (
        CLASSES[PARTLY]
        if compared.verdict == PARTLY
        else _WORDS.get(compared.word, KINDS[compared.verdict])
    )


def dots(found: Score) -> Markup:
    """A strip for each ability, with a mark and an interval for each norm, and the bound."""
    names = [found.subject.name, *(one.name for one in found.references)]
    legend = "".join(
        f'<li class="s{index % SERIES}"><svg class="key" aria-hidden="true"><svg x="17" y="8" '
        'class="over">'
        f'<path class="mark" d="{MARKS[index % len(MARKS)]}"/></svg></svg>{escape(name)}</li>'
        for index, name in enumerate(names)
    )
    rows = "".join(_strip(one, names) for one in found.lines if not one.row.exact)
    return Markup(f'<ul class="legend">{legend}</ul><div class="strips">{rows}</div>')


def _strip(one: Line, names: list[str]) -> str:
    row, cells = one.row, {name: cell for name, cell in one.cells.items() if cell.value is not None}
    if not cells:
        why = listed(sorted({cell.verdict for cell in one.cells.values()}))
        label, word = (
            f'<span class="arm">{escape(row.name)}</span>',
            f'<span class="value"><small>{why}</small></span>',
        )
        return f'{label}{word}<svg class="strip"></svg>'
    ends = [
        end
        for cell in cells.values()
        for end in (cell.low, cell.value, cell.high)
        if end is not None
    ]
    bound = row.shown(row.bound)
    scale = Scale.around([*ends, bound], row.log, pad=0.12)
    height = 12 * len(names) + 8
    left, right = (scale(bound), 100.0) if row.sign > 0 else (0.0, scale(bound))
    body = [
        f'<rect class="zone yes" x="{percent(left)}" y="0" width="{percent(right - left)}" '
        f'height="{height}"/>',
        line(scale(bound), "0", scale(bound), str(height), "zone-edge yes"),
    ]
    for index, name in enumerate(names):
        if name not in cells:
            continue
        cell, y = cells[name], str(10 + 12 * index)
        if cell.low is not None and cell.high is not None:
            whisker = line(scale(cell.low), y, scale(cell.high), y, "whisker")
            body.append(f'<g class="s{index % SERIES}">{whisker}</g>')
        if cell.value is not None:
            title = f"{name}: {value(row, cell)}"
            body.append(mark(scale(cell.value), y, index, f"s{index % SERIES}", title))
    body += [text(x, str(height + 13), label, "tick x") for x, label in scale.ticks(4)]
    spoken = "; ".join(f"{name}: {value(row, cell)}" for name, cell in cells.items())
    return (
        f'<span class="arm">{escape(row.name)}</span><span class="value"><small>'
        f"{escape(row.unit)}, "
        f"{row.asked}</small></span>"
        f'<svg class="strip" style="height: {height + 18}px" role="img" '
        f'aria-label="{escape(spoken)}">'
        f"{''.join(body)}</svg>"
    )


def _dot(name: str, batch: int, point: Point) -> Dot:
    title = f"{name}, {batch}, seed {point.seed}: {number(point.value)} %"
    return Dot(float(batch), point.value, title, point.diverged)


def _curve(found: Score) -> Markup:
    """Accuracy against the normalization batch; "" where no norm of the page depends on it."""
    lines: list[Series] = []
    bands: list[Series] = []
    for index, (name, sizes) in enumerate(found.batches.items()):
        kept = {n: summary(points) for n, points in sorted(sizes.items())}
        means = [(float(n), s.mean, s.low, s.high) for n, s in kept.items() if s]
        marks = []
        for n, points in sizes.items():
            marks += [_dot(name, n, point) for point in points]
        if means:
            (bands if len(sizes) == 1 else lines).append(
                Series(name, means, marks, index=index, short=_short(name))
            )
    if not lines:
        return Markup("")
    values = [dot.y for one in (*lines, *bands) for dot in one.dots]
    ticks = sorted({x for one in lines for x, *_ in one.means})
    return Plot(
        "Accuracy against the normalization batch",
        "; ".join(
            f"{one.name} has {number(one.means[0][1])} % at {one.means[0][0]:g}" for one in lines
        ),
        f"normalization batch: samples that share their statistics, in SGD batches of {SGD_BATCH}",
        "test accuracy, %",
        Scale.around([], True, ticks),
        Scale.around(values),
        lines,
        bands,
    ).svg()
