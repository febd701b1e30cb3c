"""What `normlab score --all` does, and the table that it prints."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.cli.tally import ran, void_timings
from normlab.score.request import TableRequest

if TYPE_CHECKING:
    from rich.console import Console

    from normlab.score.norm_table import NormTable
    from normlab.score.run_all import TableReport


def score_all(request: TableRequest, out: Path | None) -> None:
    """Run what is missing for every norm, print the table and write the page; exit 1 if a trial
    failed."""
    from normlab.cli.tables import claim_console
    from normlab.report.build import write
    from normlab.report.norm_page import norm_page
    from normlab.score.run_all import run_all

    report = run_all(request)
    for message in report.tally.messages:
        print(message, file=sys.stderr)
    page = out or report.folder / "report" / "norms.html"
    write({page: norm_page(report.table, report.choices)})
    console = claim_console()
    _print_table(report.table, console)
    for choice in report.choices:
        console.print(f"{choice.place}: {choice.sentence}", highlight=False)
    for grounds in dict.fromkeys(choice.evidence for choice in report.choices):
        console.print(f"rests on  {grounds}", highlight=False, style="dim")
    _print_run(report, page)
    if report.tally.failed:
        sys.exit(1)


def _print_table(table: "NormTable", console: "Console") -> None:
    """The questions in groups, a row for each norm; then the profile."""
    from normlab.cli.tables import plain_table
    from normlab.report.norm_words import (
        TAUS,
        battery_profile,
        grouped,
        heading,
        notes,
        plain_rows,
        profile_notes,
        profile_rows,
    )

    for name, columns in grouped(table).items():
        shown = plain_table(name, *(heading(column.row) for column in columns))
        for row in plain_rows(table, columns, "* {}"):
            shown.add_row(*row)
        console.print(shown, highlight=False)
        console.print()
    console.print("* not worse than the best: none is shown to be better", highlight=False)
    found = battery_profile(table)
    if found.ratios:
        heads = [f"within {tau:g}" for tau in TAUS]
        shown = plain_table("questions in per cent, by times the best", *heads, "misses")
        for cells in profile_rows(found):
            shown.add_row(*cells)
        console.print(shown, highlight=False)
    for note in profile_notes(found):
        console.print(note, highlight=False)
    for note in notes(table):
        console.print(note, style="yellow", highlight=False)


def _print_run(report: "TableReport", page: Path) -> None:
    from normlab.claims.cost import time_in_words

    print(f"{ran(report.tally, report.seconds)}; records in {report.records}/, page in {page}")
    if report.left:
        print(
            f"{report.left} trials are missing, {time_in_words(report.left_s)} of one core; rates "
            "that a grid grows by are not counted. The same command without --no-run goes on."
        )
    if report.void:
        print(void_timings(report.void))
