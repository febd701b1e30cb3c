"""Records -> verdicts. Deterministic: the same records give the same bytes."""

import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from normlab.claims.claim import Claim, Part
from normlab.claims.design import Design
from normlab.claims.evidence import ByArm, Evidence, Missing
from normlab.claims.profiles import STRENGTH
from normlab.claims.rules import Finding, combine
from normlab.claims.staleness import stale_reasons
from normlab.records.files import write_atomically
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import (
    FILE,
    INCONCLUSIVE,
    NO_DATA,
    EvidenceTrial,
    OtherVerdict,
    PartVerdict,
    Verdict,
    to_json,
)

BROKEN_RULE = "its rule cannot be computed"  # a part's text begins with it


def verdicts(claims: Sequence[Claim], store: Store) -> list[Verdict]:
    """One verdict per claim, from the strongest evidence that is there."""
    return [verdict(claim, store) for claim in claims]


def verdict(claim: Claim, store: Store) -> Verdict:
    """The verdict of one claim.

    Profiles are tried by strength, and the first with any evaluation trial decides: gpu before cpu,
    published data before embedded ones, complete or not. Evidence of different devices is not
    mixed: `others` has the verdict that each further device gives by itself.
    """
    first: Verdict | None = None
    others: list[OtherVerdict] = []
    for one in _by_strength(claim, store):
        # A device speaks once, by its strongest evidence.
        seen = [first.device if first else None, *(other.device for other in others)]
        if first is None:
            first = one
        elif one.n and one.device not in seen:
            others.append(_other(one))
    if first is not None:
        return replace(first, others=tuple(others))
    missing = f"no trial is recorded; run: normlab run {claim.slug}"
    parts = [_part(part, None, missing) for part in claim.parts]
    return Verdict(**_about(claim, parts), verdict=NO_DATA, missing=(missing,))


def verdict_under(claim: Claim, name: str, store: Store) -> Verdict | None:
    """The same from one of the claim's protocols; None where it has none of that name, or no
    evaluation trial of it."""
    # The first device is that with the most trials.
    return next(_under(claim, name, store), None)


def _by_strength(claim: Claim, store: Store) -> Iterator[Verdict]:
    for name in STRENGTH:
        yield from _under(claim, name, store)


def _other(verdict: Verdict) -> OtherVerdict:
    return OtherVerdict(verdict.profile or "", verdict.device or "", verdict.verdict, verdict.n)


def _under(claim: Claim, profile: str, store: Store) -> Iterator[Verdict]:
    """One verdict for each device, that with the most trials first."""
    protocol = claim.protocols.get(profile)
    if protocol is None:
        return
    progress = Design(claim, protocol).progress(store.tried())
    by_arm = progress.recorded(store.done())
    # None: not tuned, the rate is that of the arm's own configuration.
    rates = {arm: rate for arm, rate in progress.learning_rates.items() if rate is not None}
    for device in devices(by_arm):
        # Arms without a trial, too: else they would not count as missing.
        kept = {arm.name: _on(device, by_arm.get(arm.name, {})) for arm in claim.arms}
        yield _decide(claim, profile, kept, device, rates, store.folder)


def _on(device: str, by_seed: Mapping[int, Record]) -> dict[int, Record]:
    return {seed: record for seed, record in by_seed.items() if record.device == device}


def _decide(
    claim: Claim,
    profile: str,
    by_arm: ByArm,
    device: str,
    rates: Mapping[str, float],
    folder: Path,
) -> Verdict:
    wanted = claim.protocols[profile].seeds
    evidence = Evidence(by_arm)
    n = len(evidence.seeds)
    short = {arm: len(seeds) for arm, seeds in by_arm.items() if len(seeds) < wanted}
    missing = tuple(f"{arm}: {count} of {wanted} seeds" for arm, count in short.items())
    findings, parts = _decide_parts(claim, evidence)
    decided = [finding for finding in findings if finding]
    # Equal n in every arm and the planned n, or no verdict; trials that other claims ran for some
    # arms are no data.
    if missing or len(decided) < len(findings):
        overall = INCONCLUSIVE if n else NO_DATA
        parts = [replace(part, verdict=overall) for part in parts]
    # A part says so by itself: what has been measured decides the others, not the claim.
    elif any(finding.verdict == NO_DATA for finding in decided):
        overall = NO_DATA
    else:
        overall = combine(decided)
    counted = _counted(by_arm, evidence.seeds)
    return Verdict(
        **_about(claim, parts),
        verdict=overall,
        profile=profile,
        n=n,
        device=device,
        data=tuple(sorted({record.data.get("name", "") for _, record in counted})),
        learning_rates=rates,
        missing=missing,
        stale=tuple(stale_reasons([record for _, record in counted], folder)),
        evidence=tuple(
            EvidenceTrial(arm, record.seed, record.key, record.status) for arm, record in counted
        ),
    )


def _decide_parts(
    claim: Claim, evidence: Evidence
) -> tuple[list[Finding | None], list[PartVerdict]]:
    findings: list[Finding | None] = []
    parts = []
    for part in claim.parts:
        finding, text = None, "no seed has a trial in every arm"
        try:
            if evidence.seeds:
                finding = part.decide(evidence)
                text = finding.text
        except Missing as error:
            text = str(error)
        except Exception as error:  # a bug of this claim's, which must not stop the others
            text = _broken(error)
        findings.append(finding)
        parts.append(_part(part, finding, text))
    return findings, parts


def _broken(error: Exception) -> str:
    """The error of a rule, with the file and line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}, line {frame.lineno}"
    return f"{BROKEN_RULE}: {type(error).__name__}: {error} ({place})"


def _counted(by_arm: ByArm, seeds: Sequence[int]) -> list[tuple[str, Record]]:
    """(arm, trial) of every trial that decides."""
    pairs = []
    for arm, by_seed in by_arm.items():
        # A seed that another arm lacks is recorded, but no rule reads it.
        pairs += [(arm, by_seed[seed]) for seed in sorted(by_seed) if seed in seeds]
    return pairs


def devices(by_arm: ByArm) -> list[str]:
    """Those with the most trials first; by name where there is a tie."""
    count = Counter(record.device for by_seed in by_arm.values() for record in by_seed.values())
    return sorted(count, key=lambda device: (-count[device], device))


def _part(part: Part, finding: Finding | None, text: str) -> PartVerdict:
    """As it is kept; without a finding it has no data, for the reason in `text`."""
    undecided = PartVerdict(
        name=part.name,
        statement=part.statement,
        rule=part.rule_words,
        text=text,
        verdict=NO_DATA,
        log=part.rule.log,
        zones=part.rule.zones(),
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
    )


def _rounded(value: float | None) -> float | None:
    """Six significant digits: more would differ between builds of numpy."""
    return None if value is None else float(f"{value:.6g}")


class _About(TypedDict):
    slug: str
    statement: str
    documents: tuple[str, ...]
    parts: tuple[PartVerdict, ...]
    rule_version: int


def _about(claim: Claim, parts: Sequence[PartVerdict]) -> _About:
    return {
        "slug": claim.slug,
        "statement": claim.statement,
        "documents": claim.documents,
        "parts": tuple(parts),
        "rule_version": claim.version,
    }


def write(verdicts: Sequence[Verdict], folder: Path) -> Path:
    """Replace results/verdicts.json in one step."""
    path = folder / FILE
    write_atomically(path, to_json(verdicts))
    return path
