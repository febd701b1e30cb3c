"""Proof that a rule came before its evidence: the commit that a record names holds the version of
the claim that the record decides.

A version is a hash of clauses, rules, arms and protocol, so what has to be shown of a commit is
that its own code gives that hash. Commits with the same code are asked once.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.registered import registered
from normlab.claims.run import print_versions
from normlab.claims.run.committed import git
from normlab.claims.run.earlier_code import extract
from normlab.records.store import Store
from normlab.records.verdict import Verdict

Asked = tuple[str, str]  # slug and protocol
# Whatever a version is made of, and what experiment files import.
_PLACES = ("experiments", "src/normlab/claims", "src/normlab/records", "src/normlab/measure")


def problems(claims: Sequence[Claim], verdicts: Sequence[Verdict], store: Store) -> list[str]:
    """What keeps the deciding records from proving that their rules came first; [] if nothing does.

    Claims whose trials neither train nor time (first_seed 0) have no luck that could be chosen, and
    are left out.

    Raises:
        NormLabError: a commit that is not in this repository.
    """
    found: list[str] = []
    wanted: dict[str, dict[Asked, str]] = defaultdict(dict)  # commit -> what it must hold
    rows = registered(store.folder)
    for claim, verdict in zip(claims, verdicts, strict=True):
        if verdict.profile is None or not claim.first_seed:
            continue
        asked = claim.slug, verdict.profile
        # Of any protocol: where two are the same, one has run, and the stronger one decides.
        last = [given[-1].version for given in rows.get(claim.slug, {}).values() if given]
        if verdict.version not in last:
            found.append(f"{claim.slug}: version {verdict.version} is not in versions.json")
            continue
        records = [store.records[trial.key] for trial in verdict.evidence]
        dirty = sum(bool(record.code.get("dirty")) for record in records)
        if dirty:
            found.append(f"{claim.slug}: {dirty} trials ran code that was not committed")
        for record in records:
            if not record.code.get("dirty"):
                wanted[str(record.code.get("git"))][asked] = verdict.version
    return found + _not_held(wanted)


def _not_held(wanted: Mapping[str, Mapping[Asked, str]]) -> list[str]:
    """What commits do not hold."""
    found = []
    for commits in _alike(wanted):
        asked = sorted({one for commit in commits for one in wanted[commit]})
        held = dict(zip(asked, versions_at(commits[0], asked), strict=True))
        for commit in commits:
            for (slug, protocol), version in sorted(wanted[commit].items()):
                if held[slug, protocol] != version:
                    found.append(
                        f"{slug}: commit {commit[:9]} holds version {held[slug, protocol]} and not "
                        f"{version}"
                    )
    return found


def _alike(commits: Iterable[str]) -> list[list[str]]:
    """Commits whose code of claims is the same, together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for commit in sorted(commits):
        trees = git("rev-parse", *(f"{commit}:{place}" for place in _PLACES))
        groups[trees or commit].append(commit)
    return list(groups.values())


def versions_at(commit: str, asked: Sequence[Asked]) -> list[str | None]:
    """The versions that the code of `commit` gives; None for a claim that it lacks.

    Raises:
        NormLabError: the commit is not in this repository.
    """
    with tempfile.TemporaryDirectory(prefix="normlab-versions-") as folder:
        there = Path(folder, commit)
        extract(commit, there)
        environment = {**os.environ, "PYTHONPATH": str(there / "src")}
        environment.pop("NORMLAB_EXPERIMENTS", None)
        names = [name for one in asked for name in one]
        done = subprocess.run(
            [sys.executable, "-P", print_versions.__file__, *names],
            env=environment, cwd=there, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        return [None] * len(asked)
    found: list[str | None] = json.loads(done.stdout)
    return found
