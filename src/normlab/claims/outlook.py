"""What a claim will cost and how often it will be decided, in words, before it runs."""

from collections.abc import Iterator, Mapping

from normlab.claims.claim import Claim, Part, Protocol
from normlab.claims.cost import seconds_left
from normlab.claims.design import Design
from normlab.claims.looks import Looks
from normlab.claims.power import power
from normlab.records.record import Record


def parts_in_words(claim: Claim, protocol: Protocol) -> Iterator[str]:
    """For each clause, then each part of the scope: what it states, its rule, its power."""
    for part in claim.parts:
        kind = "clause" if part in claim.clauses else "scope"
        yield f"  {kind} {part.name}: {part.statement}"
        yield f"    rule: {part.rule_words}"
        if part.stands_for:
            yield f"    stands for: {part.stands_for}"
        if part in claim.clauses:
            yield f"    power: {power_in_words(part, protocol.looks)}"


def power_in_words(part: Part, looks: Looks) -> str:
    """How often it is decided at each look or before, simulated."""
    found = power(part, looks)
    if found is None:
        return "not simulated (no effect that is expected, or no interval of a mean)"
    shares = ", ".join(f"{share:.0%} at {size}" for size, share in found.by_look.items())
    return (
        f"an effect of {part.expected:g} with a noise of {part.noise:g} a seed is supported in "
        f"{found.supported:.0%} and refuted in {found.refuted:.0%} of cases; decided: {shares}"
    )


def plan_in_words(
    claim: Claim, name: str, protocol: Protocol, records: Mapping[str, Record]
) -> str:
    """The looks, and what the first and the last of them cost from what is recorded on."""
    design = Design(claim, protocol)
    first, last = (
        design.progress(records, seeds) for seeds in (protocol.looks.sizes[0], protocol.looks.most)
    )
    first_cost, last_cost = (
        _minutes(seconds_left(protocol, progress, records)) for progress in (first, last)
    )
    rates = len(protocol.learning_rates)
    tuned = f", each over {rates} learning rates or more" if rates else ""
    looks = ", ".join(map(str, protocol.looks.sizes))
    if not last.remaining:
        cost = "nothing left to run"
    elif len(protocol.looks.sizes) == 1:
        cost = f"{last.remaining} trials to run, {last_cost}"
    else:
        cost = (
            f"{first.remaining} trials to the first look, {first_cost}; "
            f"{last.remaining} to the last, {last_cost}"
        )
    return f"profile {name}: {len(claim.arms)} arms, looks at {looks} seeds{tuned}; {cost}"


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.1f} minutes of one core"
