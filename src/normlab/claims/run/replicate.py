"""Running claims again with seeds that nobody has used: how many of their verdicts hold?

The records lie apart, in a folder of results/replications, so that they decide nothing; what came
of them is a row in results/replications.json. Identities and audits are left out: there is no luck
in them.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from normlab.claims.again import asked_again, with_fresh_seeds
from normlab.claims.claim import Claim
from normlab.claims.decided import verdict_under
from normlab.claims.registered import registered
from normlab.claims.replications import FOLDER, Replication, add_replication, replications
from normlab.claims.run.engines import build_engine
from normlab.claims.run.request import EngineName
from normlab.claims.run.runner import Tally, run_claims
from normlab.errors import NormLabError
from normlab.records.places import EXPERIMENTS
from normlab.records.store import Store
from normlab.records.verdict import NO_DATA, OPEN, Verdict

FIRST_SEED = 100_000  # of the first replication; each further one begins as much later


def chosen(
    claims: Sequence[Claim], verdicts: Sequence[Verdict], share: float | None, seed: int
) -> list[tuple[Claim, Verdict]]:
    """The decided claims with luck in them: all, or a random share, at least one.

    Raises:
        NormLabError: there is none; a share that is none.
    """
    if share is not None and not 0 < share <= 1:
        raise NormLabError(f"--share {share:g}: give more than 0, and 1 at most.")
    decided = [
        (claim, verdict)
        for claim, verdict in zip(claims, verdicts, strict=True)
        if claim.first_seed and verdict.verdict not in OPEN
    ]
    if not decided:
        raise NormLabError(
            "None of these claims is decided by seeds: there is nothing to run again."
        )
    if share is None:
        return decided
    count = max(1, round(share * len(decided)))
    return random.Random(seed).sample(decided, count)


def fresh_seed(slug: str, folder: Path) -> int:
    """The first of seeds that neither a version nor a replication of the claim has used."""
    used = [row.first_seed for row in replications(folder) if row.slug == slug]
    for rows in registered(folder).get(slug, {}).values():
        used += [row.first_seed + row.seeds for row in rows]
    # By whole steps: no two replications meet.
    return FIRST_SEED * (max(used, default=0) // FIRST_SEED + 1)


def replicate(
    pairs: Sequence[tuple[Claim, Verdict]],
    folder: Path,
    commit: str | None,
    *,
    workers: int | None = None,
    deadline: float | None = None,
) -> tuple[list[Replication], Tally]:
    """Run each claim under the profile that decided it; what came out of those that are complete.

    A claim that the deadline leaves without its looks is no replication yet: called again, it goes
    on with the same seeds.
    """
    done: list[Replication] = []
    total = Tally()
    for claim, before in pairs:
        profile, first = before.profile or "", fresh_seed(claim.slug, folder)
        row = Replication(
            claim.slug, before.version, profile, first, before.verdict, NO_DATA, commit
        )
        again = with_fresh_seeds(claim, row)
        store = Store(folder / FOLDER / str(first))
        engine = build_engine(EngineName.local, workers, EXPERIMENTS)
        tally = run_claims([again], profile.split("-")[0], store, engine, deadline=deadline)
        total.add(tally)
        now = verdict_under(again, profile, Store(store.folder))
        if now is None or now.missing:
            continue
        row = _with_outcome(row, now, Store(store.folder))
        done.append(row)
        add_replication(folder, row)
    return done, total


def _with_outcome(row: Replication, now: Verdict, store: Store) -> Replication:
    again = asked_again(now, store)
    return replace(row, now=again.verdict, machine=again.machine, n=again.n, date=again.date)
