"""`normlab show`."""

from typing import TYPE_CHECKING, Annotated

import typer

from normlab.claims.run.request import Profile
from normlab.cli.options import Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from normlab.claims.claim import Claim
    from normlab.records.record import Record


def show(
    slug: Annotated[str, typer.Argument(help="The claim.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Power, looks, and every job of the next look, instead.")
    ] = False,
    profile: Annotated[Profile, typer.Option(help="Of --plan.")] = Profile.quick,
    results: Results = None,
) -> None:
    """A claim: its answer, verdict, clauses with their intervals, scope, cost and history. Runs
    nothing."""
    from normlab.claims.registry import load_claim
    from normlab.records.places import RESULTS
    from normlab.records.store import Store

    claim = load_claim(slug)
    store = Store(results or RESULTS)
    if plan:
        for line in _plan(claim, profile, store.done()):
            print(line)
        return
    from normlab.claims.verdicts import verdict
    from normlab.report.claim_text import claim_text

    for line in claim_text(claim, verdict(claim, store), store.done()):
        print(line)


def _plan(claim: "Claim", profile: Profile, known: "Mapping[str, Record]") -> "Iterator[str]":
    """Rules and power of each part, what the looks cost, and the command of each job."""
    from normlab.claims.design import Design
    from normlab.claims.outlook import parts_in_words, plan_in_words
    from normlab.claims.power import check_powers
    from normlab.claims.run.runner import next_step
    from normlab.claims.run.session import named_protocol

    name, protocol = named_protocol(claim, profile)
    yield f"{claim.slug}: {claim.statement}"
    yield from parts_in_words(claim, protocol)
    yield plan_in_words(claim, name, protocol, known)
    for job in next_step(Design(claim, protocol), known).jobs:
        yield f"  {job.arm}: {job.command}"
    # Last, so that a reader sees which clause it is. Smoke decides nothing.
    if profile is not Profile.smoke:
        check_powers(claim, protocol)
