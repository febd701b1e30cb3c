"""Records -> verdicts. Deterministic: the same records give the same bytes."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from normlab.claims.claim import Claim, Protocol
from normlab.claims.evidence import Evidence, Missing
from normlab.claims.plan import plan
from normlab.claims.profiles import STRENGTH
from normlab.claims.rules import Finding, combine
from normlab.claims.staleness import stale_reasons
from normlab.records.files import write_atomically
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import INCONCLUSIVE, NO_DATA


def verdicts(claims: Sequence[Claim], store: Store) -> list[dict[str, Any]]:
    """One verdict per claim, from the strongest evidence that is there."""
    return [verdict(claim, store) for claim in claims]


def verdict(claim: Claim, store: Store) -> dict[str, Any]:
    """{slug, statement, verdict, parts, profile, n, evidence, ...} of one claim.

    Profiles are tried by strength, and the first with any evaluation trial decides: gpu before cpu, published data
    before embedded ones, complete or not. Evidence of different devices is not mixed: `others` has the verdict that
    each further device gives by itself, {profile, device, verdict, n}.
    """
    first: dict[str, Any] | None = None
    others: list[dict[str, Any]] = []
    for row in (row for name in STRENGTH for row in _rows_under(claim, name, store)):
        if first is None:
            first = row
        elif row["n"] and row["device"] not in [
            first["device"],
            *(other["device"] for other in others),
        ]:
            others.append({name: row[name] for name in ("profile", "device", "verdict", "n")})
    if first is not None:
        return {**first, "others": others}
    missing = f"no trial is recorded; run: normlab run {claim.slug}"
    return _row(
        claim,
        NO_DATA,
        [_part(part, None, missing) for part in claim.parts],
        None,
        0,
        missing=[missing],
    )


def verdict_under(claim: Claim, name: str, store: Store) -> dict[str, Any] | None:
    """The same from one of the claim's protocols; None where it has none of that name, or no evaluation trial of it."""
    return next(_rows_under(claim, name, store), None)


def _rows_under(claim: Claim, name: str, store: Store) -> Iterator[dict[str, Any]]:
    """One row for each device, that with the most trials first."""
    protocol = claim.protocols.get(name)
    if protocol is None:
        return
    records = store.done()
    step = plan(claim, protocol, records)
    by_arm = {
        arm: {seed: records[key] for seed, key in seeds.items() if key in records}
        for arm, seeds in step.evaluation.items()
    }
    for device in devices(by_arm):
        yield _decide(claim, name, protocol, by_arm, device, step.learning_rates, store.folder)


def _decide(
    claim: Claim,
    profile: str,
    protocol: Protocol,
    by_arm: Mapping[str, Mapping[int, Record]],
    device: str,
    rates: Mapping[str, float | None],
    folder: Path,
) -> dict[str, Any]:
    kept = {
        arm.name: {s: r for s, r in by_arm.get(arm.name, {}).items() if r.device == device}
        for arm in claim.arms
    }
    evidence = Evidence(kept, protocol.seeds)
    n = len(evidence.seeds)
    missing = [
        f"{arm}: {len(seeds)} of {protocol.seeds} seeds"
        for arm, seeds in kept.items()
        if len(seeds) < protocol.seeds
    ]
    findings: list[Finding | None] = []
    parts = []
    for part in claim.parts:
        try:
            finding = part.decide(evidence) if n else None
            text = finding.text if finding else "no seed has a trial in every arm"
        except Missing as error:
            finding, text = None, str(error)
        findings.append(finding)
        parts.append(_part(part, finding, text))
    if missing or any(finding is None for finding in findings):
        # Equal n in every arm and the planned n, or no verdict; trials that other claims ran for some arms are no data.
        overall = INCONCLUSIVE if n else NO_DATA
        for row in parts:
            row["verdict"] = overall
    elif any(finding.verdict == NO_DATA for finding in findings if finding):
        overall = NO_DATA  # a part says so by itself: what has been measured decides the others, not the claim
    else:
        overall = combine([finding for finding in findings if finding])
    used = [
        record
        for seeds in kept.values()
        for seed, record in sorted(seeds.items())
        if seed in evidence.seeds
    ]
    return _row(
        claim,
        overall,
        parts,
        profile,
        n,
        device=device,
        data=sorted({record.data.get("name", "") for record in used}),
        learning_rates={arm: rate for arm, rate in rates.items() if rate is not None},
        missing=missing,
        stale=stale_reasons(used, folder),
        evidence=[
            {"arm": arm, "seed": seed, "key": record.key, "status": record.status}
            for arm, seeds in kept.items()
            for seed, record in sorted(seeds.items())
            if seed in evidence.seeds
        ],
    )


def devices(by_arm: Mapping[str, Mapping[int, Record]]) -> list[str]:
    """Those with the most trials first; by name where there is a tie."""
    count: dict[str, int] = defaultdict(int)
    for seeds in by_arm.values():
        for record in seeds.values():
            count[record.device] += 1
    return sorted(count, key=lambda device: (-count[device], device))


def _part(part: Any, finding: Finding | None, text: str) -> dict[str, Any]:
    row = {"name": part.name, "statement": part.statement, "rule": part.rule, "text": text}
    if finding is None:
        return {
            **row,
            "verdict": NO_DATA,
            "effect": None,
            "low": None,
            "high": None,
            "unit": "",
            "n": 0,
        }
    numbers = {name: _rounded(getattr(finding, name)) for name in ("effect", "low", "high")}
    return {**row, "verdict": finding.verdict, **numbers, "unit": finding.unit, "n": finding.n}


def _rounded(value: float | None) -> float | None:
    """Six significant digits: more would differ between builds of numpy."""
    return None if value is None else float(f"{value:.6g}")


def _row(
    claim: Claim,
    overall: str,
    parts: list[dict[str, Any]],
    profile: str | None,
    n: int,
    **more: Any,
) -> dict:
    base: dict[str, Any] = {
        "slug": claim.slug,
        "statement": claim.statement,
        "documents": list(claim.documents),
        "verdict": overall,
        "parts": parts,
        "profile": profile,
        "n": n,
        "rule_version": claim.version,
        "device": None,
        "others": [],
        "data": [],
        "learning_rates": {},
        "missing": [],
        "stale": [],
        "evidence": [],
    }
    return {**base, **more}


def to_json(rows: list[dict[str, Any]]) -> str:
    """What results/verdicts.json holds and `normlab verdict --json` prints."""
    return json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write(rows: list[dict[str, Any]], folder: Path) -> Path:
    """Replace results/verdicts.json in one step."""
    path = folder / "verdicts.json"
    write_atomically(path, to_json(rows))
    return path
