"""Running claims again with seeds that nobody has used: how many of their verdicts hold?

The records lie apart, in a folder of results/replications, so that they decide nothing; what came
of them is a row in results/replications.json. Identities and audits are left out: there is no luck
in them.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.registered import registered
from normlab.claims.run.engines import build_engine
from normlab.claims.run.request import EngineName
from normlab.claims.run.runner import Tally, run_claims
from normlab.claims.verdicts import verdict_under
from normlab.errors import NormLabError
from normlab.records.files import write_atomically
from normlab.records.places import EXPERIMENTS
from normlab.records.store import Store
from normlab.records.verdict import INCONCLUSIVE, NO_DATA, Verdict

FOLDER = "replications"
FILE = "replications.json"
FIRST_SEED = 100_000  # of the first replication; each further one begins as much later
_OPEN = (INCONCLUSIVE, NO_DATA)


@dataclass(frozen=True)
class Replication:
    """A verdict, and what the same version gave with other seeds."""

    slug: str
    version: str
    profile: str
    first_seed: int
    before: str
    now: str
    commit: str | None = None

    @property
    def held(self) -> bool:
        """Whether both say the same."""
        return self.before == self.now

    @property
    def is_contrary(self) -> bool:
        """Whether both decide, and not the same: an open one is less, and no contradiction."""
        return not self.held and self.now not in _OPEN


def replications(folder: Path) -> list[Replication]:
    """All that a results folder has, oldest first."""
    path = folder / FILE
    if not path.is_file():
        return []
    return [Replication(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def rate_in_words(rows: Sequence[Replication]) -> str:
    """The line of the report; "" without any."""
    if not rows:
        return ""
    held, contrary = (sum(getattr(row, name) for row in rows) for name in ("held", "is_contrary"))
    return (
        f"Of {len(rows)} verdicts that were run again with other seeds {held} held, "
        f"{len(rows) - held - contrary} were left open, and {contrary} came out otherwise."
    )


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
        if claim.first_seed and verdict.verdict not in _OPEN
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
        again = replace(claim, first_seed=first, protocols={profile: claim.protocols[profile]})
        store = Store(folder / FOLDER / str(first))
        engine = build_engine(EngineName.local, workers, EXPERIMENTS)
        tally = run_claims([again], profile.split("-")[0], store, engine, deadline=deadline)
        total.add(tally)
        now = verdict_under(again, profile, Store(store.folder))
        if now is None or now.missing:
            continue
        row = Replication(
            claim.slug, before.version, profile, first, before.verdict, now.verdict, commit
        )
        done.append(row)
        _write(folder, [*replications(folder), row])
    return done, total


def _write(folder: Path, rows: Sequence[Replication]) -> None:
    content = json.dumps([asdict(row) for row in rows], indent=1, sort_keys=True) + "\n"
    write_atomically(folder / FILE, content)
