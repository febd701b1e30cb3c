"""After a change of code that should change no result: run one trial of each kind again and compare every bit.

A record made by older code is stale (see sources.py) unless a trial that takes the same way through the code has been
run again since and gave the same status, metrics and loss curve, bit for bit. What was compared is kept, one line
each, in results/rechecks.json: nothing is taken on trust, and a way that differs stays stale until it is run anew.
Trials that measure time never give the same bits: they are run anew.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normlab.claims.claim import Claim
from normlab.claims.plan import Job, plan
from normlab.claims.run.engines import Engine, run_all
from normlab.records.files import write_atomically
from normlab.records.provenance import RECHECKS, changed_files, load_sources, note_sources, way_of
from normlab.records.record import Record
from normlab.records.store import DONE, Store

_NOT_COMPARED = {"samples_per_s"}  # a speed


def recheck(claims: Sequence[Claim], store: Store, engine: Engine) -> list[dict[str, Any]]:
    """Run one stale trial of each way through the code again; returns, and adds to results/rechecks.json, its outcome:
    {way, key, before, now, same, differs}.
    """
    known = store.done()
    jobs = {job.key: job for job in _one_of_each_way(claims, known, store.folder)}
    rows: list[dict[str, Any]] = []
    with store:
        note_sources(store.folder)
        for job, record in run_all(engine, jobs.values()):
            before = known[job.key]
            differs = _differences(before, record)
            row = {
                "way": way_of(before.config),
                "key": job.key,
                "claim": job.claim,
                "arm": job.arm,
                "before": str(before.code.get("source")),
                "now": str(record.code.get("source")),
                "same": not differs,
                "differs": differs,
            }
            rows.append(row)
            print(f"{job.claim}, {job.arm}: {differs or 'the same bits'}", file=sys.stderr)
            if record.status in DONE:  # one that could not run says nothing
                _append(store.folder / RECHECKS, row)
        engine.close()
    return rows


def _one_of_each_way(
    claims: Sequence[Claim], known: Mapping[str, Record], folder: Path
) -> list[Job]:
    """The cheapest stale evaluation trial of each way and each source that made it."""
    sources = load_sources(folder)
    cheapest: dict[tuple[str, str], tuple[float, Job]] = {}
    for claim in (claim for claim in claims if not claim.timed):
        for protocol in claim.protocols.values():
            planned = plan(claim, protocol, known)
            keys = {key for seeds in planned.evaluation.values() for key in seeds.values()}
            for job in plan(claim, protocol, {key: known[key] for key in known.keys() - keys}).jobs:
                record = known.get(job.key)
                if (
                    record is None
                    or job.stage != "evaluate"
                    or changed_files(record, sources) == set()
                ):
                    continue
                name = way_of(record.config), str(record.code.get("source"))
                if name not in cheapest or record.duration_s < cheapest[name][0]:
                    cheapest[name] = record.duration_s, job
    return [job for _, job in cheapest.values()]


def _differences(before: Record, now: Record) -> str:
    """What differs, in words; "" if nothing does. Through JSON, as a record is kept: not finite is null."""
    one, other = (json.loads(record.to_json()) for record in (before, now))
    if one["status"] != other["status"]:
        return f"status {one['status']}, now {other['status']} {other['message']}".strip()
    for part in ("metrics", "curve"):
        for name in sorted(one[part].keys() | other[part].keys()):
            if name not in _NOT_COMPARED and one[part].get(name) != other[part].get(name):
                return f"{part}.{name}: {str(one[part].get(name))[:60]}, now {str(other[part].get(name))[:60]}"
    return ""


def _append(path: Path, row: dict[str, Any]) -> None:
    """Replace the file in one step; the last outcome of a way, before and now, counts."""
    rows = json.loads(path.read_text()) if path.exists() else []
    write_atomically(path, json.dumps([*rows, row], indent=1, sort_keys=True) + "\n")
