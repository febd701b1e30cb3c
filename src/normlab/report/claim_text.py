"""A claim in a terminal: its answer first, then what it rests on and what it still costs."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from normlab.claims.claim import Claim
from normlab.claims.outlook import cost_in_words
from normlab.records.record import Record
from normlab.records.verdict import NO_DATA, PartVerdict, Verdict
from normlab.records.words import device_label, effect
from normlab.report.again import again_in_words
from normlab.report.text_strip import text_strip

WIDTH = 80
PROFILES = ("quick", "full", "gpu")  # smoke is no evidence


def claim_text(claim: Claim, verdict: Verdict, records: Mapping[str, Record]) -> Iterator[str]:
    """Its lines, 80 characters each or a little less; commands are not broken.

    records: what is recorded, by key, for the cost of what is not.
    """
    yield from _wrapped(f"{claim.slug}: {claim.statement}")
    yield ""
    yield from _answer(verdict)
    yield from _notes(verdict)
    yield from _parts("Decided by", verdict.clauses)
    yield from _parts("Scope, which decides nothing", verdict.scope)
    yield from _provenance(claim)
    yield "\nCost of what is left"
    for name in PROFILES:
        if name in claim.protocols:
            yield from _wrapped(cost_in_words(claim, name, records), 2)
    if verdict.history:
        yield "\nBefore"
    for earlier in verdict.history:
        yield from _wrapped(f"{earlier.version}: {earlier.verdict}, {earlier.text}", 2)
    yield f"\n{'Run it' if verdict.verdict == NO_DATA else 'Run it again from nothing'}"
    yield f"  {run_command(claim, verdict)}"
    yield from _wrapped(f"Every run and the power of each clause: normlab show {claim.slug} --plan")


def run_command(claim: Claim, verdict: Verdict) -> str:
    """The one command that gives the verdict: into a new folder where there are records."""
    # The first in the order of strength has all that a quick answer needs.
    first = next((name for name in PROFILES if name in claim.protocols), "quick")
    command = f"normlab run {claim.slug} --profile {verdict.profile or first}"
    return command if verdict.verdict == NO_DATA else f"{command} --results again"


def _answer(verdict: Verdict) -> Iterator[str]:
    answer = verdict.answer or "not decided yet."
    yield from _wrapped(f"{verdict.verdict.upper()}: {answer}", 0)
    if verdict.profile and verdict.n:
        device = device_label(verdict.device)
        yield from _wrapped(f"{verdict.profile} profile on {device}, n = {verdict.n}", 2)
    for other in verdict.others:
        where = f"{other.profile} profile on {device_label(other.device)}, n = {other.n}"
        yield from _wrapped(f"by itself, other evidence says {other.verdict}: {where}", 2)
    for _, words in again_in_words(verdict):
        yield from _wrapped(words, 2)


def _notes(verdict: Verdict) -> Iterator[str]:
    """What is missing and what is stale."""
    for what in verdict.missing:
        # The command stands below, once.
        yield from _wrapped(f"missing: {what.partition('; run: ')[0]}", 2)
    for reason in verdict.stale:
        yield from _wrapped(f"stale: {reason}", 2)


def _parts(head: str, parts: Sequence[PartVerdict]) -> Iterator[str]:
    if parts:
        yield f"\n{head}"
    for part in parts:
        decided = "" if part.verdict == NO_DATA else f" [{part.verdict}]"
        yield from _wrapped(f"{part.name}{decided}: {part.statement}", 2)
        if strip := text_strip(part, WIDTH - 4):
            yield f"    {strip}"
        if shown := effect(part):
            yield from _wrapped(shown, 4)
        elif part.verdict != NO_DATA:
            yield from _wrapped(part.text, 4)
        yield from _wrapped(f"rule: {part.rule}", 4)
        if part.stands_for:
            yield from _wrapped(f"stands for: {part.stands_for}", 4)


def _provenance(claim: Claim) -> Iterator[str]:
    yield "\nWho says so"
    yield from _wrapped("; ".join(claim.documents), 2)
    yield from _wrapped(f"primary source: {claim.source}", 2)
    yield from _wrapped(f"prediction: {claim.prediction}", 2)
    for caveat in claim.caveats:
        yield from _wrapped(f"caveat: {caveat}", 2)


def _wrapped(text: str, indent: int = 0) -> list[str]:
    """In lines of at most 80 characters, the following ones two further in."""
    first, next_ = " " * indent, " " * (indent + 2)
    return wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=next_,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
