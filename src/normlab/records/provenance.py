"""Which code a record was made by, and what results/sources.json and rechecks.json know of it.

A record holds a source: 12 digits that stand for all code that computes. What these stand for is
in sources.json:

- `schema`: 2. Without it a file is of version 1, {source: {file: hash}}; scripts/migrate_sources.py
  brings it here.
- `sources`: {source: {file: hash}}, by first names; "v1:" stands before a hash of version 1, which
  nothing here can give again.
- `without_measuring`: sources of version 1, which left out what claims measure by themselves.
- `commits`: {commit: {file: hash}}: what was left out, of the commits that such records name.
"""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NotRequired, TypedDict

from normlab.records.files import write_atomically
from normlab.records.json_values import Json
from normlab.records.places import CHECKOUT, read_together
from normlab.records.record import CodeState, Record
from normlab.records.tree import here

SCHEMA = 2
SOURCES = "sources.json"
RECHECKS = "rechecks.json"

Hashes = Mapping[str, str]  # of files by first name


class Recheck(TypedDict):
    """A trial that was run again by other code, and whether it gave the same bits."""

    way: str  # through the code, see `way_of`
    key: str
    claim: str
    arm: str
    before: str  # state of the code that made the record
    now: str  # source of the code that ran it again
    same: bool
    differs: str  # what, in words
    processor: NotRequired[str]  # of the machine that ran it again
    # Where the record came from another processor: the commit that ran here for it as well.
    commit: NotRequired[str]


@dataclass(frozen=True)
class Sources:
    """What sources.json and rechecks.json of a results folder say."""

    files: Mapping[str, Hashes] = field(default_factory=dict)  # by source
    commits: Mapping[str, Hashes] = field(default_factory=dict)
    without_measuring: frozenset[str] = frozenset()
    # (way, state) -> sources that gave the same bits.
    same: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)

    def state(self, record: Record) -> str:
        """The source that made a record, with its commit where the source leaves out some code."""
        source = str(record.code.get("source"))
        if "trial" in record.config and source in self.without_measuring:
            return f"{source}@{record.code.get('git')}"
        return source

    def hashes(self, state: str) -> Hashes | None:
        """Of all files as they were at `state`; None where that is not known."""
        source, _, commit = state.partition("@")
        files = self.files.get(source)
        if files is None or not commit:
            return files
        measuring = self.commits.get(commit)
        return None if measuring is None else {**measuring, **files}

    def reached(self, way: str, state: str) -> set[str]:
        """Every state known to give the same bits as `state`, in one step or several."""
        reached: set[str] = set()
        open_ = [state]
        while open_:
            before = open_.pop()
            source, _, commit = before.partition("@")
            # Rows of version 1 name the source alone: they compared all but what the commit tells.
            for name in {before, source}:
                for now in self.same.get((way, name), ()):
                    after = f"{now}@{commit}" if now in self.without_measuring and commit else now
                    if after not in reached:
                        reached.add(after)
                        open_.append(after)
        return reached


def load_sources(folder: Path) -> Sources:
    """What is known in a results folder and those that count as one with it; of any schema."""
    files: dict[str, Hashes] = {}
    commits: dict[str, Hashes] = {}
    without_measuring: set[str] = set()
    same: dict[tuple[str, str], list[str]] = defaultdict(list)
    for place in read_together(folder):
        known = _read_sources(place)
        files |= known.files
        commits |= known.commits
        without_measuring |= known.without_measuring
        for row in load_rechecks(place):
            if row["same"]:
                same[row["way"], row["before"]].append(row["now"])
    return Sources(files, commits, frozenset(without_measuring), same)


def _read_sources(folder: Path) -> Sources:
    content = _read(folder / SOURCES)
    if not isinstance(content, dict):
        return Sources()
    if "schema" not in content:  # version 1
        return Sources({source: _marked(files) for source, files in content.items()})
    without_measuring = frozenset(content["without_measuring"])
    return Sources(content["sources"], content["commits"], without_measuring)


def load_rechecks(folder: Path) -> list[Recheck]:
    """The rows of the folder's own rechecks.json; of schema 2, and of version 1, a list."""
    content = _read(folder / RECHECKS)
    if isinstance(content, dict):
        content = content["rechecks"]
    return content if isinstance(content, list) else []


def add_recheck(folder: Path, row: Recheck) -> None:
    """Add a row to rechecks.json."""
    rows = [*load_rechecks(folder), row]
    _write(folder / RECHECKS, {"schema": SCHEMA, "rechecks": rows})


def note_sources(folder: Path) -> None:
    """Keep in sources.json what the present source stands for: a record needs only its name."""
    tree = here()
    add_sources(folder, {tree.source: tree.hashes})


def add_sources(folder: Path, files: Mapping[str, Hashes]) -> None:
    """Keep in sources.json what more sources stand for, by their names."""
    known = _read_sources(folder)
    if all(known.files.get(source) == hashes for source, hashes in files.items()):
        return
    write_sources(folder, {**known.files, **files}, known.commits, known.without_measuring)


def write_sources(
    folder: Path,
    files: Mapping[str, Hashes],
    commits: Mapping[str, Hashes],
    without_measuring: Iterable[str],
) -> None:
    """Replace sources.json."""
    content = {
        "schema": SCHEMA,
        "sources": files,
        "commits": commits,
        "without_measuring": sorted(without_measuring),
    }
    _write(folder / SOURCES, content)


def code_state() -> CodeState:
    """The commit of this checkout, whether it was changed since, and the source."""
    return {**_code_state()}  # a record may be changed, this not


@cache
def _code_state() -> CodeState:
    changed = _git(
        "status", "--porcelain", "--untracked-files=no",
        "--", "src", "conf", "experiments", "train.py",
    )  # fmt: skip
    return {
        "git": _git("rev-parse", "HEAD"),
        "dirty": None if changed is None else bool(changed),
        "source": here().source,
    }


def _git(*arguments: str) -> str | None:
    if CHECKOUT is None:  # an installed package may lie in somebody else's repository
        return None
    command = ["git", "-C", str(CHECKOUT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def way_of(config: Mapping[str, Json]) -> str:
    """Which way a trial takes through the code: its configuration, numbers as no more than given.

    Without the seed, and without what says for whom and where it runs.
    """
    aside = ("seed", "claim", "arm", "stage", "logger")
    kept = {name: value for name, value in config.items() if name not in aside}
    return json.dumps(_way(kept), sort_keys=True)


def _way(value: object) -> object:
    if isinstance(value, Mapping):
        given = {name: item for name, item in value.items() if not _is_empty(item)}
        return {name: _way(item) for name, item in given.items()}
    if isinstance(value, list | tuple):
        words = all(isinstance(item, str) for item in value)
        return [_way(item) for item in value] if words else len(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return 0 if is_number else value


def _is_empty(value: object) -> bool:
    return value is None or value is False or value in ([], ())


def _marked(files: Hashes) -> Hashes:
    """Hashes of version 1, so that they equal none of today's."""
    return {name: f"v1:{value}" for name, value in files.items()}


def _read(path: Path) -> object:
    """The content of a JSON file; None where there is none, or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, content: object) -> None:
    write_atomically(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
