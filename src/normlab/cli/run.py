"""`normlab run`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.claims.run.request import EngineName, LoggerName, Profile, RunRequest
from normlab.cli.options import Minutes, Results, Workers
from normlab.cli.tally import ran

if TYPE_CHECKING:
    from normlab.claims.run.session import RunReport


def run(
    slugs: Annotated[list[str] | None, typer.Argument(help="Claims; leave out with --all.")] = None,
    all_claims: Annotated[bool, typer.Option("--all", help="Every claim.")] = False,
    profile: Annotated[Profile, typer.Option(help="How much is run.")] = Profile.quick,
    seeds: Annotated[
        int | None, typer.Option(help="Evaluation seeds, for every arm alike.")
    ] = None,
    workers: Workers = None,
    engine: Annotated[EngineName, typer.Option(help="Where trials run.")] = EngineName.local,
    dry_run: Annotated[
        bool, typer.Option(help="Print the commands of the jobs that would run.")
    ] = False,
    minutes: Minutes = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Run again what other code than this has recorded.")
    ] = False,
    norm: Annotated[
        str | None, typer.Option(help="A kind or my_package.MyNorm, in the place of one of theirs.")
    ] = None,
    logger: Annotated[
        list[LoggerName] | None,
        typer.Option(
            help="Log each training in runs/claims; may be repeated. "
            "Not what a claim measures itself."
        ),
    ] = None,
    results: Results = None,
) -> None:
    """Run what is missing of one claim, several or all, and print their verdicts."""
    from normlab.claims.run.session import missing_jobs, run_session

    request = RunRequest(
        slugs=tuple(slugs or ()),
        all_claims=all_claims,
        profile=profile,
        seeds=seeds,
        workers=workers,
        engine=engine,
        minutes=minutes,
        renew=renew,
        norm=norm,
        loggers=tuple(logger or ()),
        results=results,
    )
    if dry_run:
        for job in missing_jobs(request):
            print(job.command)
        return
    report = run_session(request)
    _print_report(report)
    if profile is not Profile.smoke:  # which decides nothing
        from normlab.cli.verdict import print_verdicts

        print_verdicts([claim.slug for claim in report.claims], report.folder)
    if report.tally.failed:
        sys.exit(1)


def _print_report(report: "RunReport") -> None:
    """What went wrong, then one line for the whole run, then the guests beside their hosts."""
    from rich.table import Table

    from normlab.cli.tables import claim_console

    for message in report.tally.messages:
        print(message, file=sys.stderr)
    logs = "" if report.logs is None else f", logs in {report.logs}/"
    print(f"{ran(report.tally, report.seconds)}; records in {report.folder}/{logs}")
    for slug, rows in report.guests.items():
        columns = ("norm", "mean", "in the place of", "mean", "difference")
        table = Table(*columns, title=slug, box=None)
        for row in rows:
            table.add_row(row.guest, row.guest_mean, row.host, row.host_mean, row.finding)
        claim_console().print(table)
