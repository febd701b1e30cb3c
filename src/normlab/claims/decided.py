"""One claim decided under one of its protocols, by device. Deterministic."""

import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from normlab.claims.claim import Claim, Part
from normlab.claims.design import Design
from normlab.claims.evidence import ByArm, Missing
from normlab.claims.looks import Looks
from normlab.claims.profiles import STRENGTH
from normlab.claims.registered import history, not_run
from normlab.claims.rules import Finding, combine
from normlab.claims.sequence import decide, wanted_seeds
from normlab.claims.staleness import stale_reasons
from normlab.claims.version import version
from normlab.errors import NormLabError
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import NO_DATA, EvidenceTrial, PartVerdict, Verdict

BROKEN_ANSWER = "its answer cannot be made"  # an answer begins with it
BROKEN_RULE = "its rule cannot be computed"  # a part's text begins with it


def by_strength(claim: Claim, store: Store) -> list[Verdict]:
    """One verdict for each profile and device with any trial, that which decides first.

    Profiles are tried by strength: the first that has come to its first look decides, or, where
    none has, the first with any trial.
    """
    found = [one for name in STRENGTH for one in verdicts_under(claim, name, store)]
    first = next((one for one in found if _has_looked(claim, one)), None)
    return found if first is None else [first, *(one for one in found if one is not first)]


def _has_looked(claim: Claim, verdict: Verdict) -> bool:
    """Whether its clauses have as many seeds as the first look of its protocol asks for."""
    return verdict.n >= claim.protocols[verdict.profile or ""].looks.sizes[0]


def verdict_under(claim: Claim, name: str, store: Store) -> Verdict | None:
    """The verdict from one of the claim's protocols; None where it has none of that name, or no
    evaluation trial of it."""
    # The first device is that with the most trials.
    return next(verdicts_under(claim, name, store), None)


def verdicts_under(claim: Claim, profile: str, store: Store) -> Iterator[Verdict]:
    """One verdict for each device, that with the most trials first."""
    protocol = claim.protocols.get(profile)
    if protocol is None:
        return
    progress = Design(claim, protocol).progress(store.tried())
    by_arm = progress.recorded(store.done())
    # None where no rate is chosen: it is that of the arm's own configuration.
    rates = {arm.name: tuple(progress.rates(arm.name)) for arm in claim.arms}
    chosen = {arm: found for arm, found in rates.items() if found}
    for device in devices(by_arm):
        # Arms without a trial, too: else they would not count as missing.
        kept = {arm.name: _on(device, by_arm.get(arm.name, {})) for arm in claim.arms}
        yield _decide(claim, profile, kept, device, chosen, store.folder)


def verdict_of(claim: Claim, looks: Looks, by_arm: ByArm) -> Verdict:
    """The parts of `claim`, decided by trials that the caller has at hand.

    Nothing is said of versions, and of code that has changed since: whoever decides many claims by
    the same trials asks that once.
    """
    looked = [_decided(claim, part, by_arm, looks, "") for part in claim.parts]
    parts = [part for part, _ in looked]
    short = {arm: len(seeds) for arm, seeds in by_arm.items() if len(seeds) < looks.sizes[0]}
    return Verdict(
        **about(claim, parts),
        verdict=combine(part.verdict for part in parts if part.decides),
        n=min((seeds for part, seeds in looked if part.decides and seeds), default=0),
        missing=tuple(
            f"{arm}: {looks.sizes[0] - count} of {looks.sizes[0]} seeds still to run"
            for arm, count in short.items()
        ),
    )


def _on(device: str, by_seed: Mapping[int, Record]) -> dict[int, Record]:
    return {seed: record for seed, record in by_seed.items() if record.device == device}


def _decide(
    claim: Claim,
    profile: str,
    by_arm: ByArm,
    device: str,
    rates: Mapping[str, tuple[float, ...]],
    folder: Path,
) -> Verdict:
    looks = claim.protocols[profile].looks
    now = version(claim, profile)
    other = not_run(claim, profile, now, folder)
    wanted = wanted_seeds(claim, looks, by_arm)
    short = {arm: len(seeds) for arm, seeds in by_arm.items() if len(seeds) < wanted[arm]}
    missing = [other] if other else []
    missing += [
        f"{arm}: {wanted[arm] - count} of {wanted[arm]} seeds still to run"
        for arm, count in short.items()
    ]
    looked = [_decided(claim, part, by_arm, looks, other) for part in claim.parts]
    parts = [part for part, _ in looked]
    overall = combine(part.verdict for part in parts if part.decides)
    counted = _counted(by_arm)
    return Verdict(
        **about(claim, parts),
        verdict=overall,
        answer=_answer(claim, overall, parts),
        version=now,
        history=history(claim.slug, profile, now, folder),
        profile=profile,
        # Of the clause with the fewest: each is decided at a look of its own.
        n=min((seeds for part, seeds in looked if part.decides and seeds), default=0),
        device=device,
        data=tuple(sorted({record.data.get("name", "") for _, record in counted})),
        learning_rates=rates,
        missing=tuple(missing),
        stale=tuple(stale_reasons([record for _, record in counted], folder)),
        evidence=tuple(
            EvidenceTrial(arm, record.seed, record.key, record.status) for arm, record in counted
        ),
    )


def _answer(claim: Claim, verdict: str, parts: Sequence[PartVerdict]) -> str:
    """The claim's sentence; that it cannot be made, for a reason, stops no other claim."""
    try:
        return claim.answers.answer(verdict, {part.name: part for part in parts})
    except (NormLabError, ValueError) as error:
        return f"{BROKEN_ANSWER}: {error}"


def _decided(
    claim: Claim, part: Part, by_arm: ByArm, looks: Looks, other: str
) -> tuple[PartVerdict, int]:
    """A part as it is kept, decided, open, or without data for a reason; and by how many seeds.

    other: why these trials may not decide it.
    """
    decides = part in claim.clauses
    if other:
        return part_verdict(part, None, other, decides=decides), 0
    try:
        finding, seeds = decide(part, by_arm, looks)
    except Missing as missing:
        return part_verdict(part, None, str(missing), decides=decides), 0
    except Exception as error:  # a bug of this claim's, which must not stop the others
        return part_verdict(part, None, _broken(error), decides=decides), 0
    return part_verdict(part, finding, finding.text, decides=decides), seeds


def _broken(error: Exception) -> str:
    """The error of a rule, with the file and line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    return f"{BROKEN_RULE}: {type(error).__name__}: {error} ({place})"


def _counted(by_arm: ByArm) -> list[tuple[str, Record]]:
    """(arm, trial) of every trial that is there, by seed: each clause takes what its looks want."""
    pairs = []
    for arm, by_seed in by_arm.items():
        pairs += [(arm, by_seed[seed]) for seed in sorted(by_seed)]
    return pairs


def devices(by_arm: ByArm) -> list[str]:
    """Those with the most trials first; by name where there is a tie."""
    count = Counter(record.device for by_seed in by_arm.values() for record in by_seed.values())
    return sorted(count, key=lambda device: (-count[device], device))


def part_verdict(part: Part, finding: Finding | None, text: str, *, decides: bool) -> PartVerdict:
    """As it is kept; without a finding it has no data, for the reason in `text`."""
    undecided = PartVerdict(
        name=part.name,
        statement=part.statement,
        rule=part.rule_words,
        text=text,
        verdict=NO_DATA,
        log=part.rule.log,
        zones=part.rule.zones(),
        decides=decides,
        stands_for=part.stands_for,
    )
    if finding is None:
        return undecided
    return replace(
        undecided,
        verdict=finding.verdict,
        effect=_rounded(finding.effect),
        low=_rounded(finding.low),
        high=_rounded(finding.high),
        unit=finding.unit,
        unit_first=part.quantity.unit_first,
        n=finding.n,
        p=_rounded(finding.p),
    )


def _rounded(value: float | None) -> float | None:
    """Six significant digits: more would differ between builds of numpy."""
    return None if value is None else float(f"{value:.6g}")


class About(TypedDict):
    slug: str
    statement: str
    documents: tuple[str, ...]
    parts: tuple[PartVerdict, ...]


def about(claim: Claim, parts: Sequence[PartVerdict]) -> About:
    return {
        "slug": claim.slug,
        "statement": claim.statement,
        "documents": claim.documents,
        "parts": tuple(parts),
    }
