"""The page of a score: one file that needs nothing else, in the style of the report."""

import shlex
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from normlab.records.verdict import INCONCLUSIVE, NO_DATA, REFUTED, SUPPORTED
from normlab.records.words import device_label, listed
from normlab.report.marks import SYMBOLS
from normlab.report.pages import HERE
from normlab.report.score_figures import ability_strips, batch_curve
from normlab.report.score_words import abilities, against, certainty, difference, value
from normlab.report.words import CLASSES
from normlab.score.request import ScoreProfile
from normlab.score.table import BARRED, BETTER, SAME, WORSE, Cell, Comparison, Line, Score

# Of the style sheet: of a verdict, and of the word for a comparison.
KINDS = {**CLASSES, BARRED: "none"}
_WORD_KINDS = {BETTER: "yes", WORSE: "no", SAME: "ink"}


@dataclass(frozen=True)
class PageCell:
    """A cell of the page's table. difference: None in the norm's own column."""

    value: str
    verdict: str
    difference: str | None = None
    judged: str = ""
    kind: str = ""


@dataclass(frozen=True)
class PageLine:
    """A row of the page's table."""

    name: str
    measured: str
    asked: str
    cells: list[PageCell]


def html(score: Score) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    name, words = score.subject.name, abilities(score)
    return environment.get_template("score.html.j2").render(
        style=(HERE / "style.css").read_text(),
        symbols=Markup(SYMBOLS),
        classes=KINDS,
        name=name,
        references=score.norms[1:] or ["nothing"],
        norms=score.norms,
        made=_made_of(score),
        command=_command(score),
        notes=[f"stale: {reason}" for reason in sorted(score.stale)],
        words=[
            ("Can", CLASSES[SUPPORTED], [f"{name} {sentence}." for sentence in words.can]),
            ("Cannot", CLASSES[REFUTED], [f"{name} {sentence}." for sentence in words.cannot]),
            ("Undecided", CLASSES[INCONCLUSIVE], words.undecided),
            ("Cannot enter", CLASSES[NO_DATA], words.barred),
        ],
        against=against(score),
        figure=ability_strips(score),
        curve=batch_curve(score),
        lines=[_line(line) for line in score.lines],
    )


def _made_of(score: Score) -> str:
    """Profile, device and data, in a sentence."""
    devices = listed(sorted(device_label(device) for device in score.devices))
    data = listed(sorted(score.data))
    sentence = f"Profile {score.profile}"
    sentence += f" on {devices}" if devices else ""
    sentence += f"; {data}." if data else "."
    if score.profile == ScoreProfile.smoke:
        sentence += " This profile only shows that everything runs."
    return sentence


def _command(score: Score) -> str:
    """What builds this page."""
    words = ["normlab", "score", score.subject.target]
    for text in score.subject.option_texts:
        words += ["--option", text]
    words += ["--against", ",".join(reference.target for reference in score.references)]
    # For a shell, to which brackets and spaces mean something.
    return shlex.join([*words, "--profile", score.profile])


def _line(line: Line) -> PageLine:
    cells = [_cell(line, cell) for cell in line.cells.values()]
    return PageLine(line.row.name, line.row.measured, line.row.asked, cells)


def _cell(line: Line, cell: Cell) -> PageCell:
    shown = cell.text if cell.value is None else value(line.row, cell)
    comparison = line.comparisons.get(cell.norm)
    if comparison is None:
        # The norm's own column: it is not compared with itself.
        return PageCell(shown, cell.verdict)
    return PageCell(
        shown,
        cell.verdict,
        difference=difference(line.row, comparison) or comparison.text,
        judged=certainty(comparison),
        kind=_kind(comparison),
    )


def _kind(comparison: Comparison) -> str:
    """Of the style sheet."""
    # Better or worse by less than the margin has the colour of neither.
    return _WORD_KINDS.get(comparison.word, KINDS[comparison.verdict])
