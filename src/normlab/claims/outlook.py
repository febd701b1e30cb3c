"""What a claim will cost and how often it will be decided, in words, before it runs."""

from collections.abc import Iterator, Mapping

from normlab.claims.claim import Claim, Part, Protocol
from normlab.claims.cost import seconds_left, time_in_words
from normlab.claims.design import Design, Progress
from normlab.claims.looks import Looks
from normlab.claims.power import power
from normlab.claims.sequence import wanted_seeds
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


def cost_in_words(claim: Claim, name: str, records: Mapping[str, Record]) -> str:
    """What a run under the protocol `name` still costs: to its next look, and to its last."""
    protocol = claim.protocols[name]
    design, looks = Design(claim, protocol), protocol.looks
    last = design.progress(records, looks.most)
    wanted = wanted_seeds(claim, looks, last.recorded(records))
    soon = design.progress(records, wanted)
    if not soon.remaining:
        return f"{name}: nothing left to run"
    words = [_trials_in_words(protocol, soon, records)]
    # Once a clause is decided its arms get no more seeds: fewer than the last look asks for.
    if max(wanted.values()) < looks.most:
        words[0] = f"{words[0]}, for the look at {max(wanted.values())} seeds"
        words.append(f"at most {_trials_in_words(protocol, last, records)}, for {looks.most}")
    return f"{name}: {'; '.join(words)}"


def _trials_in_words(protocol: Protocol, progress: Progress, records: Mapping[str, Record]) -> str:
    time = time_in_words(seconds_left(protocol, progress, records))
    return f"{progress.remaining} trial{'s' * (progress.remaining > 1)}, {time} of one core"


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.1f} minutes of one core"
