"""Records -> verdicts. Deterministic: the same records give the same bytes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from normlab.claims.again import elsewhere, replicated
from normlab.claims.claim import Claim
from normlab.claims.decided import about, by_strength, part_verdict
from normlab.claims.registered import history
from normlab.records.files import write_atomically
from normlab.records.store import Store
from normlab.records.verdict import FILE, NO_DATA, OtherVerdict, Verdict, to_json


def verdicts(claims: Sequence[Claim], store: Store) -> list[Verdict]:
    """One verdict per claim, from the strongest evidence that is there."""
    return [verdict(claim, store) for claim in claims]


def verdict(claim: Claim, store: Store) -> Verdict:
    """The verdict of one claim, by the records of the store's folder alone.

    Evidence of different devices is not mixed: `others` has the verdict that each further device
    gives by itself. What fresh seeds and other machines gave stands beside it, and moves nothing.
    """
    found = by_strength(claim, store)
    fresh, away = replicated(claim, store.folder), elsewhere(claim, store.folder)
    if found:
        first = found[0]
        others: list[OtherVerdict] = []
        for one in found:
            # A device speaks once, by its strongest evidence.
            if one.n and one.device not in [first.device, *(other.device for other in others)]:
                others.append(_other(one))
        return replace(first, others=tuple(others), replications=fresh, elsewhere=away)
    missing = f"no trial is recorded; run: normlab run {claim.slug}"
    parts = [
        part_verdict(part, None, missing, decides=part in claim.clauses) for part in claim.parts
    ]
    before = history(claim.slug, "", "", store.folder)
    return Verdict(
        **about(claim, parts),
        verdict=NO_DATA,
        missing=(missing,),
        history=before,
        replications=fresh,
        elsewhere=away,
    )


def _other(verdict: Verdict) -> OtherVerdict:
    return OtherVerdict(verdict.profile or "", verdict.device or "", verdict.verdict, verdict.n)


def write(verdicts: Sequence[Verdict], folder: Path) -> Path:
    """Replace results/verdicts.json in one step."""
    path = folder / FILE
    write_atomically(path, to_json(verdicts))
    return path
