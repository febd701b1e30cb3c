"""`normlab score`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.options import Minutes, Results, Workers
from normlab.cli.tally import ran, void_timings
from normlab.errors import NormLabError
from normlab.score.request import REFERENCES, ScoreProfile, ScoreRequest, TableRequest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from normlab.score.run import ScoreReport
    from normlab.score.table import Line, Score


def score(
    norm: Annotated[
        str | None, typer.Argument(help="A kind, or my_package.my_module.MyNorm.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every kind, in one table; hours the first time.")
    ] = False,
    guest: Annotated[
        list[str] | None, typer.Option(help="With --all, a class beside the kinds; repeatable.")
    ] = None,
    against: Annotated[str, typer.Option(help="Kinds to compare with.")] = ",".join(REFERENCES),
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, of the norm; may be repeated.")
    ] = None,
    profile: Annotated[
        ScoreProfile, typer.Option(help="How much is run; smoke is no evidence.")
    ] = ScoreProfile.quick,
    workers: Workers = None,
    timed: Annotated[
        bool, typer.Option("--timed/--untimed", help="Measure the cost, too, after all else.")
    ] = True,
    minutes: Minutes = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Run the references again, if other code made them.")
    ] = False,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="With --all: only read what is recorded.")
    ] = False,
    results: Results = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The page.  [default: report/score-NORM.html or norms.html in there]"),
    ] = None,
) -> None:
    """Put a norm through a fixed battery beside others, or with --all every kind; write what it can
    and cannot do on one page."""
    how = (profile, workers, timed, minutes, renew)
    if every:
        from normlab.cli.norm_table import score_all

        if norm is not None or option:
            raise NormLabError("--all takes no NORM and no --option: name a class with --guest.")
        score_all(TableRequest(tuple(guest or ()), *how, not no_run, results), out)
        return
    if guest or no_run:
        raise NormLabError("--guest and --no-run go with --all.")
    if norm is None:
        raise NormLabError("name a kind of norm or a class, or pass --all for a table of them all.")
    names = tuple(filter(None, (name.strip() for name in against.split(","))))
    _score_one(ScoreRequest(norm, names, tuple(option or ()), *how, results), out)


def _score_one(request: ScoreRequest, out: Path | None) -> None:
    """Run what is missing, print the table and write the page; exit 1 if a trial failed."""
    from normlab.report.build import write
    from normlab.report.score_page import html
    from normlab.score.run import run_score

    report = run_score(request)
    for message in report.tally.messages:
        print(message, file=sys.stderr)
    page = out or report.folder / "report" / f"score-{report.score.subject.slug}.html"
    write({page: html(report.score)})
    _print_score(report.score)
    _print_run(report, page)
    if report.tally.failed:
        sys.exit(1)


def _print_run(report: "ScoreReport", page: Path) -> None:
    print(f"{ran(report.tally, report.seconds)}; records in {report.records}/, page in {page}")
    if report.void:
        print(void_timings(report.void))


def _print_score(score: "Score") -> None:
    """The table, then what the norm can and cannot do."""
    from normlab.cli.tables import claim_console, plain_table

    console = claim_console()
    table = plain_table("ability", *score.norms)
    for line in score.lines:
        table.add_row(line.row.name, *_cells(line, score), end_section=True)
    console.print(table, highlight=False)
    _print_sentences(score, console)
    for reason in sorted(score.stale):
        console.print(f"stale     {reason}", style="yellow", highlight=False)


def _cells(line: "Line", score: "Score") -> "list[Text]":
    """Of a row of the table: the norm's own cell, then those of the others with the comparison."""
    from normlab.cli.tables import STYLES, in_lines, styled
    from normlab.records.verdict import INCONCLUSIVE
    from normlab.report.score_words import certainty, difference, value
    from normlab.score.table import BETTER, WORSE

    styles = {**STYLES, INCONCLUSIVE: "dim"}
    own = line.cells[score.subject.name]
    verdict = styled(own.verdict, styles.get(own.verdict, "dim"))
    cells = [in_lines([value(line.row, own), verdict])]
    for other in score.references:
        comparison = line.comparisons[other.name]
        style = {BETTER: "green", WORSE: "red"}.get(comparison.word, "dim")
        shown = (
            value(line.row, line.cells[other.name]),
            styled(certainty(comparison), style),
            difference(line.row, comparison),
        )
        cells.append(in_lines(filter(None, shown)))
    return cells


def _print_sentences(score: "Score", console: "Console") -> None:
    """What the rows decide, one sentence a line, its kind before it."""
    from normlab.report.score_words import abilities

    words, name = abilities(score), score.subject.name
    sentences = [f"can       {name} {sentence}" for sentence in words.can]
    sentences += [f"cannot    {name} {sentence}" for sentence in words.cannot]
    sentences += [f"left out  {sentence}" for sentence in words.barred]
    sentences += [f"undecided {sentence}" for sentence in words.undecided]
    for sentence in sentences:
        console.print(sentence, highlight=False)
