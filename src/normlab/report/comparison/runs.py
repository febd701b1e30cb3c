"""The records of runs, from their folders."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.record import Record
from normlab.records.store import DONE

NAME = "record.json"


def read_runs(folders: Sequence[Path]) -> list[Record]:
    """The records of all runs in the folders and below, each trial once.

    Raises:
        NormLabError: a folder without any, or one that is not there.
    """
    records: list[Record] = []
    for folder in folders:
        paths = [folder] if folder.name == NAME else sorted(folder.rglob(NAME))
        found = [record for record in map(Record.read, paths) if record is not None]
        if not found:
            raise NormLabError(
                f"{folder}: no {NAME} in it or below; name folders of train.py's runs, as runs/ or "
                "runs/sweep."
            )
        records += found
    return once_each(records)


def once_each(records: Iterable[Record]) -> list[Record]:
    """Of each trial the newest record that is finished, else the newest.

    A run that wandb logs holds a copy of its record, and a trial may have been run twice.
    """
    newest: dict[str, Record] = {}
    for record in sorted(records, key=lambda one: one.started):
        known = newest.get(record.key)
        if known is None or record.status in DONE or known.status not in DONE:
            newest[record.key] = record
    return list(newest.values())


def failure_lines(records: Sequence[Record]) -> list[str]:
    """A line for each run that gave no result: what it was, and why."""
    lines = []
    for record in records:
        kind, model = record.section("norm").get("kind"), record.section("model").get("name")
        lines.append(f"{record.status}: {kind} {model} seed {record.seed}: {record.message}")
    return lines
