"""The bundle of this machine's records: claims about time and benchmarks first, then what is named.

Whose machine a record is of is told by its processor: those that came with this project, and those
without one, stay out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from normlab.claims.claim import Claim
from normlab.claims.design import Design
from normlab.claims.profiles import STRENGTH
from normlab.claims.registered import not_run
from normlab.claims.registry import load_all, load_claim
from normlab.claims.run.check_bundle import check_bundle
from normlab.claims.version import version
from normlab.errors import NormLabError
from normlab.records.bundle import Bundle, Line
from normlab.records.lines import BENCHMARKS, read_lines
from normlab.records.machine import processor
from normlab.records.private import names_here, telling, without_paths
from normlab.records.provenance import load_sources
from normlab.records.record import Record
from normlab.records.store import Store

Rows = list[tuple[str, Mapping[str, Any]]]  # with their files


def collect(slugs: Sequence[str], folder: Path) -> Bundle:
    """What this machine has recorded in `folder`, checked as whoever reads it will.

    Raises:
        NormLabError: nothing of this machine; a claim that was changed since it was run; a record
            that a reader would refuse, or that tells of a person or a computer.
    """
    named = [load_claim(slug) for slug in slugs]
    timed = [claim for claim in load_all() if claim.timed]
    others = [claim for claim in named if not claim.timed]
    store = Store(folder)
    versions: dict[str, dict[str, str]] = {}
    seen: dict[str, Record] = {}
    rows: Rows = []
    for claim in timed:
        rows += _of_claim(claim, store, versions, seen)
    rows += [("bench", row) for row in _benchmarks(folder)]
    for claim in others:
        rows += _of_claim(claim, store, versions, seen)
    for claim in named:
        if claim.slug not in versions:
            raise NormLabError(
                f"{claim.slug} has no record of this machine in {folder}/: "
                f"normlab run {claim.slug} --results {folder}"
            )
    if not rows:
        raise NormLabError(
            f"{folder}/ holds no claim about time and no benchmark of this machine: run some "
            "with --results mine, then normlab contribute --results mine."
        )
    lines = [Line(number, file, row) for number, (file, row) in enumerate(rows, 2)]
    _check_private(lines)
    bundle = Bundle(versions, _sources(seen.values(), folder), lines)
    check_bundle(bundle, folder)
    return bundle


def _of_claim(
    claim: Claim, store: Store, versions: dict[str, dict[str, str]], seen: dict[str, Record]
) -> Rows:
    """Its records that are of this machine and not in `seen`, and its versions, which are noted."""
    rows: Rows = []
    known = store.done()
    for name in STRENGTH:
        if name not in claim.protocols:
            continue
        jobs = Design(claim, claim.protocols[name]).progress(store.tried()).planned
        keys = [job.key for job in jobs if job.key in known]
        mine = [key for key in keys if known[key].versions.get("processor") == processor()]
        if not mine:
            continue
        now = version(claim, name)
        if other := not_run(claim, name, now, store.folder):
            raise NormLabError(f"{claim.slug}: {other}.")
        versions.setdefault(claim.slug, {})[name] = now
        for key in mine:
            if key not in seen:
                seen[key] = known[key]
                rows.append((known[key].claim or claim.slug, _row(known[key])))
    return rows


def _row(record: Record) -> dict[str, Any]:
    """A record as it is kept, its message without paths."""
    row: dict[str, Any] = json.loads(record.to_json())
    return {**row, "message": without_paths(record.message)}


def _benchmarks(folder: Path) -> list[Mapping[str, Any]]:
    path = folder / BENCHMARKS
    rows = [json.loads(line) for _, line in read_lines(path)] if path.is_file() else []
    return [row for row in rows if row.get("processor") == processor()]


def _check_private(lines: Iterable[Line]) -> None:
    names = names_here()
    for line in lines:
        if found := telling(line.row, names):
            raise NormLabError(f"a record of {line.file} is not sent: {found}.")


def _sources(records: Iterable[Record], folder: Path) -> dict[str, Mapping[str, str]]:
    """By name, the hashes of the code that made `records`."""
    known = load_sources(folder)
    states = sorted({known.state(record) for record in records})
    found = {state: known.hashes(state) for state in states}
    return {state: files for state, files in found.items() if files is not None}
