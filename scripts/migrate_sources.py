"""Bring results/sources.json to schema 2: the hashes of recorded code again, by hash version 2.

    python scripts/migrate_sources.py [results/ results/score/]

Run on 2026-11-28, after every file had moved into its room. It reads git history, so it needs a
clone with all of it, and may be run again: it begins with the last sources.json of version 1 that
was committed, and keeps what has been added to the file since. Whoever changes what
`normlab.records.outline` counts, or the hash itself, runs it again, or every record is stale.

What it does, for each results folder:

- Version 1 hashed each file with its annotations and imports. All versions of all files in history
  are hashed both ways; a recorded hash of version 1 is replaced by that of version 2 of the same
  text. One that no text in history has stays, marked "v1:", and equals no hash of today.
- Version 1 left out what claims measure by themselves: the experiment file and the helpers in what
  are now `measure/` and `tools/`. For records of such trials the commit that they name tells the
  code: `commits` holds the hashes of those files at that commit.
- A record made in a changed checkout (`code.dirty`) is taken to have run the code of its commit. A
  file that the commit does not have is taken from the first commit after it that has the file: a
  claim's first records were often made just before its file was committed.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from normlab.claims.staleness import files_of
from normlab.errors import NormLabError
from normlab.records.code_hash import Code, module_code, trial_code, version_1
from normlab.records.moves import MOVED, Modules, first_name
from normlab.records.places import CHECKOUT, PACKAGE, RESULTS
from normlab.records.provenance import SOURCES, Hashes, load_sources, write_sources
from normlab.records.record import Record
from normlab.records.store import Store, read_records
from normlab.records.tree import here, trial_name

SOURCE = "src/normlab/"
EXPERIMENTS = "experiments/"
MODULES = Modules(PACKAGE)
# Files that compute, or did once, by first name; what only judges users' models is no trial's.
COMPUTES = {
    name
    for name in {*MOVED.values(), *here().files}
    if not name.startswith(("advice/", "auditing/", "tools/advise/", "tools/audit/"))
}


def main() -> None:
    """Migrate the folders that are named, results/ and results/score/ unless told otherwise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, default=[RESULTS, RESULTS / "score"])
    for folder in parser.parse_args().folders:
        migrate(folder)


def migrate(folder: Path) -> None:
    """Write the folder's sources.json anew."""
    old = last_version_1(folder / SOURCES)
    unknown = 0
    files: dict[str, Hashes] = {}
    for source, hashes in old.items():
        files[source] = {}
        for name, value in hashes.items():
            again = by_version_1().get((name, value), f"v1:{value}")
            unknown += again.startswith("v1:")
            files[source][first_name(name)] = again
    now = load_sources(folder)
    added = {source: now.files[source] for source in now.files.keys() - old.keys()}
    commits = measuring_code(folder, files)
    write_sources(folder, {**files, **added}, commits, old)
    print(
        f"{folder}: {len(old)} sources, {unknown} hashes of code that is in no commit, "
        f"{len(commits)} commits for trials that claims measure by themselves"
    )


def last_version_1(path: Path) -> dict[str, Hashes]:
    """The content of the last committed version of the file that has no schema."""
    name = path.resolve().relative_to(checkout()).as_posix()
    for commit in git("log", "--format=%H", "--", name).split():
        content = json.loads(git("show", f"{commit}:{name}"))
        if "schema" not in content:
            return content
    raise NormLabError(f"{name}: no version 1 of it was ever committed.")


@cache
def by_version_1() -> dict[tuple[str, str], str]:
    """(file, hash of version 1) -> hash of version 2, of every text that history has of a file."""
    hashes = {}
    changes = git("log", "--format=", "--raw", "--no-renames", "--no-abbrev", "--", SOURCE)
    for line in changes.splitlines():
        change, path = line.split("\t")
        blob, status = change.split()[3:]
        if status != "D" and path.endswith(".py"):
            name = path.removeprefix(SOURCE)
            hashes[name, version_1(text_of(blob))] = code_of(blob, path).hash
    return hashes


def measuring_code(folder: Path, files: dict[str, Hashes]) -> dict[str, Hashes]:
    """By commit: the code that sources of version 1 leave out, where trials name the commit."""
    by_commit: dict[str, list[Record]] = defaultdict(list)
    for path in Store(folder).files():
        for record in read_records(path):
            commit = record.code.get("git")
            if "trial" in record.config and record.code.get("source") in files and commit:
                by_commit[commit].append(record)
    commits = {}
    for commit, records in by_commit.items():
        told = set.intersection(*(set(files[record.code["source"]]) for record in records))
        commits[commit] = hashes_at(commit, records, told)
    return commits


def hashes_at(commit: str, records: Iterable[Record], told: set[str]) -> Hashes:
    """Of all files that compute, but for those that the sources of `records` tell.

    Of the files that a trial runs through now and the commit lacks, those of the first commit after
    it that has them, if the checkout was changed.
    """
    hashes = {name: code_of(*at).hash for name, at in paths_at(commit).items() if name not in told}
    for record in records:
        for name in files_of(record.config, here()).all() - told - hashes.keys():
            if record.code.get("dirty") and (later := path_after(commit, name)):
                hashes[name] = code_of(*later).hash
    trials = {trial_name(str(record.config["trial"])) for record in records}
    return {
        name: value
        for name, value in hashes.items()
        if name in trials or not name.startswith(EXPERIMENTS)
    }


@cache
def paths_at(commit: str) -> dict[str, tuple[str, str]]:
    """(blob, path) of each file that computes, by what records call it."""
    paths = {}
    for line in git("ls-tree", "-r", commit, SOURCE, EXPERIMENTS).splitlines():
        blob, path = line.split()[2], line.split("\t")[1]
        name = name_of(path)
        if path.endswith(".py") and (name in COMPUTES or name.startswith(EXPERIMENTS)):
            paths[name] = blob, path
    return paths


@cache
def path_after(commit: str, name: str) -> tuple[str, str] | None:
    """The same of one file at the first commit after `commit` that has it."""
    for after in git("rev-list", "--reverse", f"{commit}..HEAD").split():
        if name in paths_at(after):
            return paths_at(after)[name]
    return None


def name_of(path: str) -> str:
    """What records call a file of the checkout."""
    if path.startswith(EXPERIMENTS):
        return trial_name(Path(path).stem)
    below = path.removeprefix(SOURCE)
    is_trial = below.startswith("score/trials/")
    return trial_name(Path(path).stem) if is_trial else first_name(below)


@cache
def code_of(blob: str, path: str) -> Code:
    """Of a file as it was; of an experiment file what measures."""
    text = text_of(blob)
    if name_of(path).startswith(EXPERIMENTS):
        return trial_code(text, MODULES) or Code("", frozenset())
    return module_code(text, MODULES, is_package=path.endswith("__init__.py"))


@cache
def text_of(blob: str) -> str:
    return git("cat-file", "blob", blob)


def git(*arguments: str) -> str:
    """What git prints."""
    command = ["git", "-C", str(checkout()), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def checkout() -> Path:
    if CHECKOUT is None:
        raise NormLabError("this reads git history: run it from a checkout.")
    return CHECKOUT


if __name__ == "__main__":
    try:
        main()
    except NormLabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
