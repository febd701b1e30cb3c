"""Whether the code that is here now made the records, or gives the same as what did; if not, which files differ."""

import ast
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from normlab.data.availability import IMAGE_SETS
from normlab.errors import NormLabError
from normlab.norms.registry import declared_kinds
from normlab.records.files import write_atomically
from normlab.records.places import PACKAGE, read_together
from normlab.records.record import ASIDE, Record, code_state, source_hashes, target_hash
from normlab.training.evaluations import MODULES

RECHECKS = "rechecks.json"


def note_sources(folder: Path) -> None:
    """Keep in results/sources.json which files a source hash stands for, so that a record needs only the hash."""
    path = folder / "sources.json"
    known = _read(path) or {}
    source = code_state()["source"]
    if source in known:
        return
    known[source] = source_hashes()
    write_atomically(path, json.dumps(known, indent=1, sort_keys=True) + "\n")


def stale_reasons(records: Sequence[Record], folder: Path) -> list[str]:
    """What has changed since `records` were made, or between them: files of ours that they use, or the data.

    Empty: nothing. A file counts only for trials that run through it: a new option of the transformer does not make
    the trials of a CNN stale.
    """
    known = load_sources(folder)
    changed: set[str] = set()
    reasons = []
    for record in records:
        files = changed_files(record, known)
        if files is None:
            reasons.append(f"made by code that is not known here ({record.code.get('source')})")
        else:
            changed |= files
    if changed:
        reasons.append(f"code changed since: {', '.join(sorted(changed))}")
    by_options: dict[str, set[str]] = defaultdict(set)
    for record in records:
        options = {k: v for k, v in record.config.get("data", {}).items() if "batch_size" not in k}
        own = record.config.get(
            "options"
        )  # of a claim's own trial, which may measure on several data sets
        by_options[json.dumps([options, own], sort_keys=True)].add(
            record.data.get("fingerprint", "")
        )
    if any(len(fingerprints) > 1 for fingerprints in by_options.values()):
        reasons.append("the data changed between trials")
    return sorted(set(reasons))


def current(records: Mapping[str, Record], folder: Path) -> dict[str, Record]:
    """Those of `records` that the code which is here now would give again, as far as its files tell."""
    known = load_sources(folder)
    return {key: record for key, record in records.items() if changed_files(record, known) == set()}


@dataclass(frozen=True)
class Sources:
    """What results/sources.json and results/rechecks.json say."""

    files: Mapping[str, dict[str, str]]  # source -> name -> hash
    same: Mapping[
        tuple[str, str], list[str]
    ]  # (way, source before) -> sources that gave the same bits


def load_sources(folder: Path) -> Sources:
    same: dict[tuple[str, str], list[str]] = defaultdict(list)
    files: dict[str, dict[str, str]] = {}
    for place in read_together(folder):
        files |= _read(place / "sources.json") or {}
        for row in _read(place / RECHECKS) or ():
            if row["same"]:
                same[row["way"], row["before"]].append(row["now"])
    return Sources(files, same)


def changed_files(record: Record, known: Sources) -> set[str] | None:
    """Files that the record's trial ran through and that differ now; None where its code is not known.

    None differ if a trial that takes the same way gave the same bits with the files as they are now.
    """
    source = str(record.code.get("source"))
    for target, code in _target_now(record.config).items():
        if record.versions.get(target) != code:
            return {target}
    if source == code_state()["source"]:
        return set()
    if source not in known.files:
        return None
    changed = _changed(record, known.files[source])
    checked = (
        _changed(record, known.files[other])
        for other in _reached(way_of(record.config), source, known)
    )
    return set() if changed and any(not files for files in checked) else changed


def _target_now(config: Mapping[str, Any]) -> dict[str, str]:
    norm = config.get("norm") or {}
    try:
        return target_hash(norm)
    except NormLabError:  # it lies elsewhere, on another machine say
        return {str(norm["target"]): ""}


def _changed(record: Record, before: Mapping[str, str]) -> set[str]:
    now = source_hashes()
    # A file that is new has not been run through; if an old one imports it now, the old one differs.
    return {name for name in files_of(record.config, before) if before[name] != now.get(name)}


def _reached(way: str, source: str, known: Sources) -> set[str]:
    """Every source that has given the same bits as `source`, in one step or several."""
    reached, open_ = set(), [source]
    while open_:
        for other in known.same.get((way, open_.pop()), ()):
            if other not in reached and other in known.files:
                reached.add(other)
                open_.append(other)
    return reached


def way_of(config: Mapping[str, Any]) -> str:
    """Which way a trial takes through the code: its configuration without seed, and numbers as no more than given."""
    kept = {
        name: value
        for name, value in config.items()
        if name not in ("seed", "claim", "arm", "stage", "logger")
    }
    return json.dumps(_outline(kept), sort_keys=True)


def _outline(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            k: _outline(v)
            for k, v in value.items()
            if v is not None and v is not False and v != [] and v != ()
        }
    if isinstance(value, list | tuple):
        return (
            [_outline(item) for item in value]
            if all(isinstance(item, str) for item in value)
            else len(value)
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0
    return value


def files_of(config: dict[str, Any], files: Iterable[str]) -> set[str]:
    """Those of `files` (names below the package) that a trial of `config` runs through.

    A claim's own `trial` may call any norm or model, so it counts all of them; a class from elsewhere it must name.
    """
    if "model" not in config or "norm" not in config:
        aside = ASIDE if '"target"' in json.dumps(config) else ASIDE | {CUSTOM}
        return {
            name for name in files if name.startswith(("norms/", "models/")) and name not in aside
        }
    declared = declared_kinds().get(config["norm"]["kind"])
    norm = f"norms/{declared.path.name}" if declared else CUSTOM
    own = _MODALITY["image" if config["data"]["name"] in IMAGE_SETS else "text"]
    model = f"models/{config['model']['name']}.py"
    used = _with_imports((*_ALWAYS, *own, norm, model))
    used |= _with_imports(
        tuple(f"training/{MODULES[name]}.py" for name in config.get("evaluations") or ())
    )
    # A file that is gone now was used, as far as anyone can tell.
    return {
        name for name in files if name in used or (not (PACKAGE / name).is_file() and name != norm)
    }


CUSTOM = "norms/custom.py"  # the wrapper of a class that lies elsewhere
_ALWAYS = ("training/fit.py", "models/__init__.py")
_MODALITY = {
    "image": ("data/images.py", "data/image_sources.py"),
    "text": (
        "data/text.py",
        "data/text_sources.py",
        "data/documents.py",
        "data/document_sources.py",
    ),
}


@cache
def _with_imports(roots: tuple[str, ...]) -> frozenset[str]:
    """`roots` and what they import of what computes, directly or not; not what is chosen by name at run time."""
    found: set[str] = set()
    open_ = [root for root in roots if root]
    while open_:
        name = open_.pop()
        if name in found or name in ASIDE or not (PACKAGE / name).is_file():
            continue
        found.add(name)
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("normlab."):
                path = (node.module or "").removeprefix("normlab.").replace(".", "/")
                open_ += [f"{path}.py"]
    return frozenset(found)


def _read(path: Path) -> Any:
    """The content of a JSON file, None where there is none."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
