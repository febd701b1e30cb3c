"""norms.html: the table of norms on one page that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from normlab.records.norm_choices import NormChoice
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, REFUTED, SUPPORTED
from normlab.records.words import listed, number
from normlab.report.marks import line, mark
from normlab.report.norm_words import (
    HOW,
    PROFILE,
    TAUS,
    battery_profile,
    entry_text,
    grouped,
    heading,
    made_of,
    name_in,
    notes,
    profile_notes,
    profile_rows,
    ratio_text,
    reasons,
    standing_text,
)
from normlab.report.pages import render
from normlab.report.plot import Dot, Plot, Series
from normlab.report.scale import Scale
from normlab.report.words import CLASSES
from normlab.score.norm_table import BEHIND, BEST, MISS, OPEN, Column, Entry, NormTable
from normlab.score.ratios import Profile
from normlab.score.request import ScoreProfile

# Of the style sheet.
KINDS = {
    BEST: CLASSES[SUPPORTED],
    BEHIND: CLASSES[INCONCLUSIVE],
    MISS: CLASSES[REFUTED],
    OPEN: CLASSES[NO_DATA],
}
_LARGEST = 16.0  # tau of the figure: beyond it a norm is as good as lost in a question


@dataclass(frozen=True)
class RankedNorm:
    """A row of a question's ranking. kind: of the style sheet."""

    name: str
    value: str
    strip: Markup
    ratio: str
    kind: str
    standing: str
    behind: str


def norm_page(table: NormTable, choices: Sequence[NormChoice]) -> str:
    """The whole page; the same records give the same bytes."""
    found = battery_profile(table)
    return render(
        "norms.html.j2",
        kinds=KINDS,
        best=BEST,
        made=made_of(table),
        smoke=table.profile == ScoreProfile.smoke,
        notes=notes(table),
        choices=choices,
        how=HOW,
        groups=[_group(name, table, columns) for name, columns in grouped(table).items()],
        profile=PROFILE,
        figure=profile_figure(found),
        taus=[f"{tau:g}" for tau in TAUS],
        shares=profile_rows(found),
        profile_notes=profile_notes(found),
        questions=[_question(table, column) for column in table.columns if not column.row.exact],
    )


def _group(
    name: str, table: NormTable, columns: Sequence[Column]
) -> tuple[str, list[str], list[tuple[str, list[tuple[str, str]]]]]:
    """Heading, questions, and for each norm its name and (text, standing) by question."""
    rows = []
    for norm in table.names:
        entries = [(column.row, column.entries[norm]) for column in columns]
        cells = [(entry_text(row, entry), entry.standing) for row, entry in entries]
        rows.append((name_in(table, norm), cells))
    return name, [heading(column.row) for column in columns], rows


def _question(table: NormTable, column: Column) -> tuple[str, str, list[RankedNorm], list[str]]:
    """Heading, how it is measured, the norms with a value by rank, and why others have none."""
    names = [name for name in column.ranked if column.entries[name].cell.value is not None]
    shown = [column.entries[name] for name in names]
    ends = [end for one in shown for end in (one.cell.low, one.cell.value, one.cell.high)]
    scale = Scale.around([end for end in ends if end is not None], column.row.log, pad=0.12)
    rows = [
        RankedNorm(
            name_in(table, name),
            entry_text(column.row, entry),
            _strip(column, entry, scale),
            ratio_text(entry),
            KINDS[entry.standing],
            standing_text(entry),
            listed(entry.behind),
        )
        for name, entry in zip(names, shown, strict=True)
    ]
    return heading(column.row), column.row.measured, rows, reasons(column)


def _strip(column: Column, entry: Entry, scale: Scale) -> Markup:
    """The 95 % interval, and the mark of the mean over it."""
    cell, kind = entry.cell, KINDS[entry.standing]
    assert cell.value is not None
    drawn = []
    if cell.low is not None and cell.high is not None:
        drawn.append(line(scale(cell.low), "13", scale(cell.high), "13", "whisker"))
    spoken = f"{cell.norm}: {entry_text(column.row, entry)} {column.row.unit}"
    drawn.append(mark(scale(cell.value), "13", 0, kind, spoken))
    return Markup(f'<svg class="strip" role="img">{"".join(drawn)}</svg>')


def profile_figure(found: Profile) -> Markup:
    """A line for each norm: share of questions against tau; "" without a norm that has all data."""
    if not found.ratios:
        return Markup("")
    last = min(_LARGEST, max(2.0, 1.1 * found.largest))
    series = []
    for index, norm in enumerate(found.ratios):
        steps = found.steps(norm, last)
        one = Series(norm, [(tau, 100 * share, None, None) for tau, share in steps], index=index)
        # A mark at the top of each step: more norms than colours are told apart by them.
        for tau, share in dict(steps).items():
            title = f"{norm}: {number(100 * share)} % of questions within {number(tau)}"
            one.dots.append(Dot(tau, 100 * share, title))
        series.append(one)
    return Plot(
        title="Performance profile over the battery",
        description=listed(
            [f"{norm} {100 * found.share(norm, 1.0):.0f} % at 1" for norm in found.ratios]
        ),
        x_label="tau: within so many times the best of a question, log scale",
        y_label="share of questions, %",
        x=Scale(1.0, last, True, given=tuple(tau for tau in (1.0, 2.0, 4.0, 8.0) if tau <= last)),
        y=Scale.around([0.0, 100.0]),
        series=series,
    ).svg()
