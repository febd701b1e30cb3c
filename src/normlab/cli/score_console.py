"""`normlab score`: run what is missing of the battery, decide, print the table, write the page."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from normlab.claims.run.engines import build_engine
from normlab.claims.run.runner import run_claims
from normlab.errors import NormLabError
from normlab.records.places import RESULTS
from normlab.records.verdict import PARTLY, REFUTED, SUPPORTED
from normlab.report.build import write
from normlab.report.score_page import html
from normlab.report.score_words import difference, judged, said, value
from normlab.score.battery import TRIALS, battery
from normlab.score.decide import BETTER, WORSE, Score, score
from normlab.score.store import ScoreStore
from normlab.score.subject import Subject, subject_of

FOLDER = "score"  # below the results
_STYLES = {SUPPORTED: "green", REFUTED: "red", PARTLY: "yellow"}


def score_from_console(
    name: str,
    against: str,
    options: Sequence[str],
    profile: str,
    workers: int | None,
    timed: bool,
    minutes: float | None,
    renew: bool,
    results: Path | None,
    out: Path | None,
) -> None:
    """Exit status 1 if a trial failed."""
    subject = subject_of(name, options)
    references = _references(against, subject)
    folder = results or (
        Path("runs") / "smoke" if profile == "smoke" else RESULTS
    )  # smoke is no evidence
    if profile == "smoke" and folder.resolve() == RESULTS.resolve():
        raise NormLabError(
            "--profile smoke is no evidence: leave --results out, or name another folder than results/."
        )
    store = ScoreStore(folder / FOLDER, subject)
    began = time.perf_counter()
    deadline = None if minutes is None else began + 60 * minutes
    engine = build_engine("local", workers, TRIALS)
    claims = battery(subject, references, timed)
    tally = run_claims(claims, profile, store, engine, None, deadline, renew)
    for message in tally.messages:
        print(message, file=sys.stderr)
    found = score(subject, references, profile, store)
    page = out or folder / "report" / f"score-{subject.slug}.html"
    write({page: html(found)})
    print_score(found)
    print(
        f"{tally.done} trials in {(time.perf_counter() - began) / 60:.1f} min: {tally.diverged} diverged, "
        f"{tally.failed} failed; records in {store.folder}/, page in {page}"
    )
    void = store.void(arm.name for arm in claims[-1].arms) if timed else 0
    if void:
        print(
            f"{void} timings are void, since the machine was busy: run this again when it is calm."
        )
    if tally.failed:
        sys.exit(1)


def _references(against: str, subject: Subject) -> list[Subject]:
    """Those of the comma-separated names that are not the subject itself."""
    found = [subject_of(name.strip()) for name in against.split(",") if name.strip()]
    return [one for index, one in enumerate(found) if one != subject and one not in found[:index]]


def print_score(found: Score) -> None:
    """The table, then what the norm can and cannot do."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(
        "ability",
        found.subject.name,
        *(one.name for one in found.references),
        box=None,
        pad_edge=False,
    )
    for line in found.lines:
        own = line.cells[found.subject.name]
        cells = [f"{value(line.row, own)}\n{_styled(own.verdict)}"]
        for other in found.references:
            one = line.comparisons[other.name]
            style = {BETTER: "green", WORSE: "red"}.get(one.word, "dim")
            word = f"[{style}]{judged(one)}[/{style}]"
            shown = [value(line.row, line.cells[other.name]), word, difference(line.row, one)]
            cells.append("\n".join(filter(None, shown)))
        table.add_row(line.row.name, *cells, end_section=True)
    console.print(table, highlight=False)
    words, name = said(found), found.subject.name
    sentences = [f"can       {name} {sentence}" for sentence in words.can]
    sentences += [f"cannot    {name} {sentence}" for sentence in words.cannot]
    sentences += [f"left out  {sentence}" for sentence in words.barred]
    sentences += [f"undecided {sentence}" for sentence in words.open]
    for sentence in sentences:
        console.print(sentence, highlight=False)
    for reason in sorted(found.stale):
        console.print(f"stale     {reason}", style="yellow", highlight=False)


def _styled(verdict: str) -> str:
    style = _STYLES.get(verdict, "dim")
    return f"[{style}]{verdict}[/{style}]"
