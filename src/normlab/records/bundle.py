"""A bundle: records of one machine in a file, for others to read. Standard library only.

A JSON object a line. The first says what is in it: machines, versions, commits, controls, the
versions of claims, and the hashes of the code that the records name. Each other line holds the
record of a trial or a row of a benchmark, the file of results/ that it belongs to, and its digest.
The same records give the same bytes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from normlab.errors import NormLabError
from normlab.records.controls import controls

SCHEMA = 1


@dataclass(frozen=True)
class Line:
    """A record or a row. file: of results/, without its ending."""

    number: int
    file: str
    row: Mapping[str, Any]

    @property
    def is_benchmark(self) -> bool:
        """A row of bench.jsonl; else it is the record of a trial."""
        return self.file == "bench"


@dataclass(frozen=True)
class Bundle:
    """claims: by slug and protocol, the version that was run. sources: by their names, the hashes
    of files that the records were made by."""

    claims: Mapping[str, Mapping[str, str]]
    sources: Mapping[str, Mapping[str, str]]
    lines: Sequence[Line] = field(default_factory=tuple)


def to_text(bundle: Bundle) -> str:
    """The whole file."""
    head = {
        "schema": SCHEMA,
        "normlab": _installed(),
        "claims": bundle.claims,
        "sources": bundle.sources,
        **_summary([line.row for line in bundle.lines]),
    }
    digests = [_digest(line.row) for line in bundle.lines]
    texts = [_dumped({**head, "digest": _digest([head, digests])})]
    for line, digest in zip(bundle.lines, digests, strict=True):
        texts.append(_dumped({"file": line.file, "digest": digest, "row": line.row}))
    return "\n".join(texts) + "\n"


def read_bundle(path: Path) -> Bundle:
    """What a bundle holds; of its content no more is known than that it is as it was written.

    Raises:
        NormLabError: no such file, no bundle, one of a later schema, or a line that was changed.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise NormLabError(f"{path} cannot be read: name a file of `normlab contribute`.") from None
    head, *rows = [_parsed(path, number, text) for number, text in enumerate(texts, 1)] or [{}]
    if not isinstance(head.get("schema"), int) or "claims" not in head:
        raise refused(path, 1, "no bundle of `normlab contribute`")
    if head["schema"] > SCHEMA:
        later = f"a bundle of schema {head['schema']}: this version of normlab reads up to {SCHEMA}"
        raise refused(path, 1, f"{later}; install a newer one")
    lines, digests = [], []
    for number, row in enumerate(rows, 2):
        if not isinstance(row.get("row"), dict) or not isinstance(row.get("file"), str):
            raise refused(path, number, "holds no record")
        if _digest(row["row"]) != row.get("digest"):
            raise refused(path, number, "was changed after it was written: its digest is another")
        lines.append(Line(number, row["file"], row["row"]))
        digests.append(row["digest"])
    told = {name: value for name, value in head.items() if name != "digest"}
    if _digest([told, digests]) != head.get("digest"):
        raise refused(path, 1, "is of other lines: some were changed, left out or added")
    return Bundle(head["claims"], head["sources"], tuple(lines))


def refused(path: Path, number: int, why: str) -> NormLabError:
    """The sentence for a bundle that is not taken."""
    return NormLabError(f"{path}, line {number}: {why}. Nothing was kept.")


def source_name(files: Mapping[str, str]) -> str:
    """The 12 digits that stand for the hashes of files: see `normlab.records.tree`."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]


def _summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """For a person who opens the file: what the records say of machine, code and controls."""
    devices, commits, void, valid = set(), set(), 0, [0.0]
    versions: dict[str, set[str]] = {}
    for row in rows:
        devices.add(str(row.get("device")))
        commits.add(str(row.get("code", {}).get("git")))
        named = row.get("versions") or {name: row.get(name) for name in ("torch", "processor")}
        for name, value in named.items():
            versions.setdefault(name, set()).add(str(value))
        for control in controls(row):
            void += not control.kept
            if control.kept and control.value is not None:
                valid.append(abs(control.value - 1))
    return {
        "devices": sorted(devices),
        "commits": sorted(commits),
        "versions": {name: sorted(values) for name, values in versions.items()},
        "controls": {"valid": len(valid) - 1, "void": void, "farthest_from_1": max(valid)},
    }


def _installed() -> str | None:
    try:
        return version("normlab")
    except PackageNotFoundError:  # run from a checkout with PYTHONPATH=src
        return None


def _parsed(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        row = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise refused(path, number, str(error) if "finite" in str(error) else "no JSON") from None
    if not isinstance(row, dict):
        raise refused(path, number, "no JSON object")
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not finite")


def _digest(value: object) -> str:
    return hashlib.sha256(_dumped(value).encode()).hexdigest()[:16]


def _dumped(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)
