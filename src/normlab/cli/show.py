"""`normlab show`."""

from typing import Annotated

import typer

from normlab.claims.run.request import Profile
from normlab.cli.options import Results


def show(
    slug: Annotated[str, typer.Argument(help="The claim.")],
    profile: Annotated[Profile, typer.Option(help="Whose jobs to show.")] = Profile.cpu,
    results: Results = None,
) -> None:
    """A claim: statement, rules, planned jobs with their commands and cost. Runs nothing."""
    from normlab.claims.design import Design
    from normlab.claims.registry import load_claim
    from normlab.claims.run.session import named_protocol, seconds_per_trial
    from normlab.cli.tables import claim_console, styled
    from normlab.records.places import RESULTS
    from normlab.records.store import Store

    claim = load_claim(slug)
    name, protocol = named_protocol(claim, profile)
    # Below without highlighting: rich would colour each number in a sentence.
    console = claim_console()
    console.print(styled(claim.slug, "bold"), f": {claim.statement}", sep="", highlight=False)
    documents = "; ".join(claim.documents)
    console.print(f"said by: {documents}\nprimary source: {claim.source}", highlight=False)
    console.print(f"prediction: {claim.prediction}", highlight=False)
    for part in claim.parts:
        console.print(f"  {part.name}: {part.statement}", highlight=False)
        console.print(f"    rule: {part.rule_words}", highlight=False)
    known = Store(results or RESULTS).done()
    step = Design(claim, protocol).progress(known)
    minutes = seconds_per_trial(protocol, step, known) * step.remaining / 60
    rates = len(protocol.learning_rates)
    tuned = f", tuned over {rates} rates or more" if rates else ""
    console.print(
        f"profile {name}: {len(claim.arms)} arms x {protocol.seeds} seeds{tuned}; "
        f"{step.remaining} trials to run, about {minutes:.1f} minutes of one core",
        highlight=False,
    )
    for job in step.jobs:
        # Unbroken, so that the command can be copied.
        console.print(f"  {job.stage:8s} {job.arm}: {job.command}", highlight=False, soft_wrap=True)
