"""`normlab show`."""

from typing import Annotated

import typer

from normlab.claims.run.request import Profile
from normlab.cli.options import Results


def show(
    slug: Annotated[str, typer.Argument(help="The claim.")],
    profile: Annotated[Profile, typer.Option(help="Whose jobs to show.")] = Profile.quick,
    results: Results = None,
) -> None:
    """A claim: rules, power, looks, cost, and the jobs of its next look. Runs nothing."""
    from normlab.claims.design import Design
    from normlab.claims.outlook import parts_in_words, plan_in_words
    from normlab.claims.power import check_powers
    from normlab.claims.registry import load_claim
    from normlab.claims.run.runner import next_step
    from normlab.claims.run.session import named_protocol
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
    for words in parts_in_words(claim, protocol):
        console.print(words, highlight=False)
    known = Store(results or RESULTS).done()
    step = next_step(Design(claim, protocol), known)
    console.print(plan_in_words(claim, name, protocol, known), highlight=False)
    for job in step.jobs:
        # Unbroken, so that the command can be copied.
        console.print(f"  {job.arm}: {job.command}", highlight=False, soft_wrap=True)
    # Last, so that a reader sees which clause it is. Smoke decides nothing.
    if profile is not Profile.smoke:
        check_powers(claim, protocol)
