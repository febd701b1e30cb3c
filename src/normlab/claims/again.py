"""A claim asked again: what fresh seeds gave here, and what the records of other machines give.

Both are decided from records whenever they are shown, by the rules of the present version, and
neither moves the verdict. Records of another version are left out.
"""

from dataclasses import replace
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.decided import by_strength, verdict_under
from normlab.claims.registered import registered
from normlab.claims.replications import FILE, FOLDER, Replication, replications
from normlab.claims.version import version
from normlab.records.machines import ELSEWHERE, machine_of
from normlab.records.places import newest, read_together
from normlab.records.store import Store
from normlab.records.verdict import Again, Verdict


def replicated(claim: Claim, folder: Path) -> tuple[Again, ...]:
    """What each replication of the claim's present version gave, oldest first."""
    found: list[Again] = []
    for row in replications(newest(folder, FILE).parent):
        if row.slug != claim.slug or row.profile not in claim.protocols:
            continue
        if row.version != version(claim, row.profile):
            continue
        store = Store(folder / FOLDER / str(row.first_seed))
        verdict = verdict_under(with_fresh_seeds(claim, row), row.profile, store)
        if verdict is not None:
            found.append(replace(asked_again(verdict, store), first_seed=row.first_seed))
    return tuple(found)


def with_fresh_seeds(claim: Claim, row: Replication) -> Claim:
    """`claim` as a replication runs it: one protocol, from the first of its seeds on."""
    protocols = {row.profile: claim.protocols[row.profile]}
    return replace(claim, first_seed=row.first_seed, protocols=protocols)


def elsewhere(claim: Claim, folder: Path) -> tuple[Again, ...]:
    """What the records of each other machine give by themselves, by the machine's name."""
    homes = [place / ELSEWHERE for place in read_together(folder)]
    names = {path.name for home in homes if home.is_dir() for path in home.iterdir()}
    found: list[Again] = []
    for name in sorted(names):
        # What a machine has sent for other claims may hold trials of this one, too.
        if not any(claim.slug in registered(home / name) for home in homes):
            continue
        store = Store(folder / ELSEWHERE / name)
        decided = by_strength(claim, store)
        if decided:
            found.append(asked_again(decided[0], store))
    return tuple(found)


def asked_again(verdict: Verdict, store: Store) -> Again:
    """A verdict with what the records that it rests on say of where and when."""
    records = [store.records[trial.key] for trial in verdict.evidence]
    return Again(
        machine=machine_of(records[0]).label,
        profile=verdict.profile or "",
        verdict=verdict.verdict,
        n=verdict.n,
        clauses=verdict.clauses,
        date=max(record.started for record in records)[:10],
        torch=", ".join(sorted({record.versions.get("torch", "") for record in records} - {""})),
        stale=verdict.stale,
    )
