"""Keeping a bundle of another machine: in results/elsewhere/<machine>/, apart from all else.

Files there look like those of results/. Verdicts here never read them: see `normlab.claims.again`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normlab.claims.registered import check_fresh, register
from normlab.claims.registry import load_claim
from normlab.claims.run.check_bundle import check_bundle
from normlab.errors import NormLabError
from normlab.records.bundle import Bundle, Line, read_bundle, refused
from normlab.records.lines import BENCHMARKS, Lines, read_lines
from normlab.records.machines import ELSEWHERE, Machine, machine_named
from normlab.records.provenance import add_sources
from normlab.records.record import Record
from normlab.records.store import Store


@dataclass(frozen=True)
class Kept:
    """What is new of a machine: trials, and rows of benchmarks."""

    machine: Machine
    folder: Path
    trials: int
    rows: int


def accept(path: Path, folder: Path) -> tuple[Bundle, list[Kept]]:
    """The bundle at `path`, and what of it is kept below `folder`, by machine.

    What is there already, bit for bit, is passed over. Nothing is written before all is checked.

    Raises:
        NormLabError: a line that may not be kept, and why; all of it is there already.
    """
    bundle = read_bundle(path)
    check_bundle(bundle, path)
    own = Store(folder)
    own_rows = _benchmarks(folder)
    by_machine: dict[str, list[Line]] = {}
    machines: dict[str, Machine] = {}
    for line in bundle.lines:
        if _is_known(line, own, own_rows):
            raise refused(
                path, line.number, f"is a line of {folder}/ itself, not another machine's"
            )
        machine = machine_named(line.row)
        machines[machine.folder] = machine
        by_machine.setdefault(machine.folder, []).append(line)
    new = {
        name: _new(lines, folder / ELSEWHERE / name, machines[name], path)
        for name, lines in by_machine.items()
    }
    if not any(new.values()):
        raise NormLabError(f"{path}: all of its lines are in {folder / ELSEWHERE}/ already.")
    claims = [(load_claim(slug), name) for slug in bundle.claims for name in bundle.claims[slug]]
    for name in new:
        check_fresh(claims, folder / ELSEWHERE / name)
    kept = []
    for name, lines in sorted(new.items()):
        place = folder / ELSEWHERE / name
        _write(lines, place, bundle)
        rows = sum(line.is_benchmark for line in lines)
        kept.append(Kept(machines[name], place, len(lines) - rows, rows))
    return bundle, kept


def _record(line: Line) -> Record:
    return Record.from_json(json.dumps(line.row))


def _is_known(line: Line, store: Store, rows: frozenset[str]) -> bool:
    """Whether a folder has that very line."""
    if line.is_benchmark:
        return _text(line.row) in rows
    known = store.records.get(str(line.row["key"]))
    return known is not None and known.to_json() == _record(line).to_json()


def _new(lines: list[Line], place: Path, machine: Machine, path: Path) -> list[Line]:
    """Those that are not in `place`.

    Raises:
        NormLabError: another record of the same trial is.
    """
    store, rows = Store(place), _benchmarks(place)
    new = [line for line in lines if not _is_known(line, store, rows)]
    for line in new:
        if not line.is_benchmark and line.row["key"] in store.records:
            known = f"another record of trial {line.row['key']} on {machine.label}"
            raise refused(path, line.number, f"{place}/ has {known}")
    return new


def _write(lines: list[Line], place: Path, bundle: Bundle) -> None:
    by_file: dict[str, list[str]] = {}
    records = [_record(line) for line in lines if not line.is_benchmark]
    for line in lines:
        text = _text(line.row) if line.is_benchmark else _record(line).to_json()
        by_file.setdefault(line.file, []).append(text)
    with Lines(place, writer="normlab contribute --read") as files:
        if records:
            named = {str(record.code.get("source")) for record in records}
            known = bundle.sources.items()
            add_sources(place, {name: hashes for name, hashes in known if name in named})
            commit = str(records[0].code.get("git"))
            claims = [
                (load_claim(slug), name) for slug in bundle.claims for name in bundle.claims[slug]
            ]
            register(claims, place, commit, {})
        for file, texts in by_file.items():
            files.write(file, texts)


def _benchmarks(folder: Path) -> frozenset[str]:
    path = folder / BENCHMARKS
    if not path.is_file():
        return frozenset()
    return frozenset(_text(json.loads(line)) for _, line in read_lines(path))


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)
