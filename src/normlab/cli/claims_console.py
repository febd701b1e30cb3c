"""What the claim commands print. The work is done elsewhere."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from normlab.claims.claim import Claim, Protocol
from normlab.claims.profiles import protocol_name
from normlab.claims.registry import load_all, load_claim, slugs
from normlab.errors import NormLabError
from normlab.records.places import RESULTS, newest
from normlab.records.store import Store
from normlab.records.verdict import NO_DATA

_STYLES = {
    "supported": "green",
    "partly supported": "yellow",
    "refuted": "red",
    "inconclusive": "magenta",
}


def _console(stderr: bool = False) -> Console:
    return Console(stderr=stderr, width=None if sys.stdout.isatty() else 160)


def list_claims(results: Path | None, as_json: bool) -> None:
    """Slug, last verdict and statement of every claim, from results/verdicts.json."""
    import json

    folder = results or RESULTS
    try:
        rows = json.loads(newest(folder, "verdicts.json").read_text())
        known = {row["slug"]: row for row in rows}
    except (OSError, ValueError):
        known = {}
    rows = [
        {
            "slug": claim.slug,
            "verdict": known.get(claim.slug, {}).get("verdict", NO_DATA),
            "statement": claim.statement,
        }
        for claim in load_all()
    ]
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table("claim", "verdict", "statement", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["slug"], _styled(row["verdict"]), row["statement"])
    _console().print(table)


def _styled(verdict: str) -> str:
    style = _STYLES.get(verdict)
    return f"[{style}]{verdict}[/{style}]" if style else verdict


def _protocol(claim: Claim, profile: str) -> tuple[str, Protocol]:
    name = protocol_name(claim, profile)
    if name is None:
        known = ", ".join(claim.protocols)
        raise NormLabError(f"{claim.slug} has no protocol for --profile {profile}: it has {known}.")
    return name, claim.protocols[name]


def show_claim(slug: str, profile: str, results: Path | None) -> None:
    """The claim in words, then its jobs: command, seeds, expected cost."""
    from normlab.claims.plan import plan

    claim = load_claim(slug)
    name, protocol = _protocol(claim, profile)
    console = _console()
    console.print(f"[bold]{claim.slug}[/bold]: {claim.statement}", highlight=False)
    console.print(
        f"said by: {'; '.join(claim.documents)}\nprimary source: {claim.source}", highlight=False
    )
    console.print(f"prediction: {claim.prediction}", highlight=False)
    for part in claim.parts:
        console.print(f"  {part.name}: {part.statement}\n    rule: {part.rule}", highlight=False)
    store = Store(results or RESULTS)
    step = plan(claim, protocol, store.done())
    cost = _seconds(claim, protocol, store) * step.remaining
    console.print(
        f"profile {name}: {len(claim.arms)} arms x {protocol.seeds} seeds"
        + (
            f", tuned over {len(protocol.learning_rates)} rates or more"
            if protocol.learning_rates
            else ""
        )
        + f"; {step.remaining} trials to run, about {cost / 60:.1f} minutes of one core",
        highlight=False,
    )
    for job in step.jobs:
        console.print(f"  {job.stage:8s} {job.arm}: {job.command}", highlight=False, soft_wrap=True)


def _seconds(claim: Claim, protocol: Protocol, store: Store) -> float:
    """Per trial: what this claim's records took, else what its protocol expects."""
    took = [
        record.duration_s
        for record in store.done().values()
        if record.claim == claim.slug and record.duration_s
    ]
    return sum(took) / len(took) if took else protocol.seconds_per_trial


def recheck_from_console(names: list[str], workers: int | None, results: Path | None) -> None:
    """Exit status 1 if a trial gave something else than its record."""
    from normlab.claims.run.engines import build_engine
    from normlab.claims.run.recheck import recheck
    from normlab.records.places import EXPERIMENTS

    claims = [load_claim(name) for name in names] if names else load_all()
    rows = recheck(claims, Store(results or RESULTS), build_engine("local", workers, EXPERIMENTS))
    other = [row for row in rows if not row["same"]]
    print(
        f"{len(rows)} trials run again: {len(rows) - len(other)} gave the same bits, {len(other)} did not."
    )
    if other:
        print("Those stay stale: `normlab run --renew` runs every such trial anew.")
        raise SystemExit(1)


def run_from_console(
    names: list[str],
    all_claims: bool,
    profile: str,
    seeds: int | None,
    workers: int | None,
    engine_name: str,
    dry_run: bool,
    minutes: float | None,
    renew: bool,
    norm: str | None,
    results: Path | None,
    loggers: Sequence[str] = (),
) -> None:
    """Run claims, with `norm` in the place of one of theirs if given; exit status 1 if a trial failed."""
    from normlab.claims.plan import plan
    from normlab.claims.run.engines import build_engine
    from normlab.claims.run.runner import run_claims
    from normlab.records.places import EXPERIMENTS
    from normlab.claims.staleness import current

    if bool(names) == all_claims:
        raise NormLabError(f"name claims, or pass --all: {', '.join(slugs())}.")
    if seeds is not None and seeds < 1:
        raise NormLabError(f"--seeds {seeds}: give at least 1.")
    claims = load_all() if all_claims else [load_claim(name) for name in names]
    for claim in claims if not all_claims else []:
        _protocol(claim, profile)
    places: dict[str, dict[str, str]] = {}  # by slug: guest arm -> the arm whose place it takes
    if norm is not None:
        from normlab.claims.run.guests import check_guest, compares_norms, with_guest

        check_guest(norm)
        if all_claims:
            claims = [claim for claim in claims if compares_norms(claim)]
        guests = [with_guest(claim, norm) for claim in claims]
        claims = [claim for claim, _ in guests]
        places = {claim.slug: taken for claim, taken in guests}
    if loggers:
        from normlab.claims.run.execute import RUNS, with_loggers

        claims = [with_loggers(claim, loggers) for claim in claims]
    folder = results or (
        Path("runs") / "smoke" if profile == "smoke" else RESULTS
    )  # smoke is no evidence
    if profile == "smoke" and folder.resolve() == RESULTS.resolve():
        raise NormLabError(
            "--profile smoke is no evidence: leave --results out, or name another folder than results/."
        )
    store = Store(folder)
    if dry_run:
        for claim in claims:
            name = protocol_name(claim, profile)
            known = current(store.done(), folder) if renew else store.done()
            for job in plan(claim, claim.protocols[name], known, seeds).jobs if name else []:
                print(job.command)
        return
    began = time.perf_counter()
    deadline = None if minutes is None else began + 60 * minutes
    engine = build_engine(engine_name, workers, EXPERIMENTS)
    tally = run_claims(claims, profile, store, engine, seeds, deadline, renew)
    for message in tally.messages:
        print(message, file=sys.stderr)
    print(
        f"{tally.done} trials in {(time.perf_counter() - began) / 60:.1f} min: "
        f"{tally.diverged} diverged, {tally.failed} failed; records in {folder}/"
        + (f", logs in {RUNS}/" if loggers else "")
    )
    if places:
        _print_guests(claims, places, profile, store)
    if profile != "smoke":
        print_verdicts([claim.slug for claim in claims], False, folder)
    if tally.failed:
        sys.exit(1)


def _print_guests(
    claims: list[Claim], places: dict[str, dict[str, str]], profile: str, store: Store
) -> None:
    from normlab.claims.run.guests import compare

    for claim in claims:
        table = Table(
            "norm", "mean", "in the place of", "mean", "difference", title=claim.slug, box=None
        )
        for row in compare(claim, places[claim.slug], _protocol(claim, profile)[1], store):
            table.add_row(*row)
        _console().print(table)


def print_verdicts(names: list[str], as_json: bool, results: Path | None) -> None:
    """Decide, write results/verdicts.json (all claims), print those asked for."""
    from normlab.claims.verdicts import to_json, verdicts, write

    asked = [load_claim(name).slug for name in names]
    store = Store(results or RESULTS)
    rows = verdicts(load_all(), store)
    store.folder.mkdir(parents=True, exist_ok=True)
    write(rows, store.folder)
    if asked:
        rows = [row for row in rows if row["slug"] in asked]
    if as_json:
        print(to_json(rows), end="")
        return
    table = Table("claim", "verdict", "evidence", "finding", box=None, pad_edge=False)
    for row in rows:
        evidence = f"{row['profile']}, n = {row['n']}" if row["profile"] else ""
        notes = [
            f"[dim]{note}[/dim]"
            for note in (*row["missing"], *(f"stale: {reason}" for reason in row["stale"]))
        ]
        table.add_row(
            row["slug"],
            _styled(row["verdict"]),
            evidence,
            "\n".join(notes) if len(row["parts"]) > 1 else _text(row),
        )
        if len(row["parts"]) > 1:
            for part in row["parts"]:
                table.add_row(f"  {part['name']}", _styled(part["verdict"]), "", part["text"])
    _console().print(table)


def _text(row: dict[str, Any]) -> str:
    notes = [*row["missing"], *(f"stale: {reason}" for reason in row["stale"])]
    return "\n".join([row["parts"][0]["text"], *(f"[dim]{note}[/dim]" for note in notes)])
