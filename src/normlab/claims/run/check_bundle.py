"""Whether a bundle of another machine may be kept: its records belong to claims as they are here,
and obey what local ones do."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normlab.claims.claim import Claim
from normlab.claims.design import Design, Job
from normlab.claims.registry import load_claim, slugs
from normlab.claims.run.benchmarks import Benchmark
from normlab.claims.version import version
from normlab.errors import NormLabError
from normlab.measure.timing.harness import CONTROL_TOLERANCE
from normlab.records.bundle import Bundle, Line, refused, source_name
from normlab.records.controls import CONTROL, LOG, controls, without_control
from normlab.records.json_values import leaves
from normlab.records.private import telling
from normlab.records.record import SCHEMA, Record, trial_key
from normlab.records.store import DONE

_COMMIT = 40  # hexadecimal digits
_TOLD = ("python", "torch", "processor")  # of a record's versions


def check_bundle(bundle: Bundle, path: Path) -> None:
    """Nothing, if all of it may be kept. path: to be named.

    Raises:
        NormLabError: the first line that may not, and why.
    """
    claims = {slug: _claim(slug, bundle.claims[slug], path) for slug in bundle.claims}
    for name, files in bundle.sources.items():
        if source_name(files) != name:
            raise refused(path, 1, f"the hashes of source {name} are those of another")
    planned = _planned(claims, bundle)
    seen: set[str] = set()
    for line in bundle.lines:
        if found := telling(line.row) or _not_finite(line.row):
            raise refused(path, line.number, found)
        why = _wrong_row(line) if line.is_benchmark else _wrong_record(line, bundle, planned)
        why = why or _wrong_code(line.row) or _wrong_control(line.row)
        identity = _identity(line)
        if identity in seen:
            why = why or "is there twice"
        if why:
            raise refused(path, line.number, why)
        seen.add(identity)


def _claim(slug: str, versions: Mapping[str, str], path: Path) -> Claim:
    """The claim as it is here, if that is what was run."""
    if slug not in slugs():
        raise refused(path, 1, f"there is no claim {slug!r} here")
    claim = load_claim(slug)
    for protocol, given in versions.items():
        if protocol == "smoke" or protocol not in claim.protocols:
            raise refused(path, 1, f"{slug} has no evidence under {protocol!r} here")
        here = version(claim, protocol)
        if given != here:
            raise refused(path, 1, f"{slug} was run as version {given}, and here it is {here}")
    return claim


def _planned(claims: Mapping[str, Claim], bundle: Bundle) -> dict[str, Job]:
    """By key, every trial that the claims plan, given the records of the bundle."""
    records: dict[str, Record] = {}
    for line in bundle.lines:
        record = None if line.is_benchmark else _record(line.row)
        if record is not None:
            records[record.key] = record
    jobs: dict[str, Job] = {}
    for slug, versions in bundle.claims.items():
        for protocol in versions:
            design = Design(claims[slug], claims[slug].protocols[protocol])
            jobs |= {job.key: job for job in design.progress(records).planned}
    return jobs


def _record(row: Mapping[str, Any]) -> Record | None:
    """None where it is none, or of a later schema."""
    try:
        return Record.from_json(json.dumps(row))
    except (NormLabError, ValueError, TypeError):
        return None


def _wrong_record(line: Line, bundle: Bundle, planned: Mapping[str, Job]) -> str:
    record = _record(line.row)
    if record is None:
        return f"no record of a schema up to {SCHEMA}"
    if record.status not in DONE:
        return f"a trial that is {record.status} is no evidence"
    if line.file != record.claim or record.claim not in slugs():
        return f"a record of {record.claim} for {line.file}.jsonl"
    if trial_key(record.config) != record.key:
        return f"key {record.key} is not that of its configuration"
    job = planned.get(record.key)
    if job is None:
        return f"key {record.key} is no trial of {', '.join(bundle.claims)} as they are here"
    if (record.seed, record.config.get("seed")) != (job.seed, job.seed):
        return f"seed {record.seed} has the key of seed {job.seed}"
    if missing := [name for name in _TOLD if not record.versions.get(name)]:
        return f"does not say its {missing[0]}"
    if record.code.get("source") not in bundle.sources:
        return "the hashes of the code that made it are not in line 1"
    if load_claim(job.claim).timed and (cells := without_control(record.metrics)):
        return f"{cells[0]} has a ratio and no {CONTROL}"
    return _wrong_nulls(record)


def _wrong_nulls(record: Record) -> str:
    """A value may be missing where a reading is void, or a training was not finite."""
    if record.status != "ok":
        return ""
    void = any(not control.kept for control in controls({"metrics": record.metrics}))
    for name, value in record.metrics.items():
        if value is None and not (void and name.startswith((LOG, "gain "))):
            return f"{name} has no value"
    return ""


def _wrong_row(line: Line) -> str:
    row = line.row
    if row.get("benchmark") not in list(Benchmark):
        return f"there is no benchmark {row.get('benchmark')!r} here"
    if row.get("schema") != SCHEMA:
        return f"no row of schema {SCHEMA}"
    ratio = row.get("ratio")
    if not isinstance(ratio, int | float) or ratio <= 0:
        return "its ratio is no number above 0"
    return "" if row.get("processor") else "does not say its processor"


def _wrong_code(row: Mapping[str, Any]) -> str:
    code = row.get("code") or {}
    commit = str(code.get("git") or "")
    if len(commit) != _COMMIT or not set(commit) <= set("0123456789abcdef"):
        return "names no commit: records that are sent are made in a checkout"
    return "" if code.get("dirty") is False else "made by code that was not committed"


def _wrong_control(row: Mapping[str, Any]) -> str:
    """A ratio stands for a reading whose control is in order, and for each of these."""
    found = controls(row)
    for cell, value, kept in found:
        off = value is None or abs(value - 1) > CONTROL_TOLERANCE
        if kept and off:
            limit = f"beyond {CONTROL_TOLERANCE:.0%}"
            return f"the {CONTROL} of {cell} is {value}, {limit}, and its ratio is kept"
        if not kept and not off:
            return f"the {CONTROL} of {cell} is {value}, and its ratio is left out"
    metrics = row.get("metrics") or {}
    void = sum(not control.kept for control in found)
    if found and metrics.get("void", void) != void:
        return f"{void} cells are void, and it says {metrics['void']}"
    return ""


def _not_finite(value: object, name: str = "") -> str:
    for place, number in leaves(value, name):
        if isinstance(number, float) and not math.isfinite(number):
            return f"{place} is not finite"
    return ""


def _identity(line: Line) -> str:
    """Two lines of one identity are of the same trial, or of the same row."""
    if line.is_benchmark:
        return json.dumps(line.row, sort_keys=True)
    return str(line.row.get("key"))
