"""The evidence on disk: results/<slug>.jsonl, one line per trial, append-only, written by one process."""

import fcntl
import json
import os
import sys
from pathlib import Path
from types import TracebackType

from normlab.errors import NormLabError
from normlab.records.places import RESULTS, read_together
from normlab.records.provenance import note_sources
from normlab.records.record import Record

DONE = (
    "ok",
    "diverged",
)  # what counts as evidence; failed and timeout are kept, shown, and run again


class Store:
    """All records of a results folder, by key.

    A key does not contain the claim: a trial that another claim has run is found here, whichever file holds it.
    Reading needs no lock. Writing does: `with store:` holds the folder, so that two parents never write side by side.
    """

    def __init__(self, folder: Path = RESULTS) -> None:
        self.folder = folder
        self._lock: int | None = None
        self.records: dict[str, Record] = {}
        self.reload()

    def reload(self) -> None:
        """Read every file; the last finished record of a key counts, else the last one."""
        self.records = {}
        for folder in read_together(self.folder):
            for path in sorted(folder.glob("*.jsonl")):
                if path.name == "bench.jsonl":
                    continue
                for record in read_lines(path):
                    self._note(record)

    def _note(self, record: Record) -> None:
        known = self.records.get(record.key)
        if known is None or record.status in DONE or known.status not in DONE:
            self.records[record.key] = record

    def done(self) -> dict[str, Record]:
        """The records that are evidence, by key."""
        return {key: record for key, record in self.records.items() if record.status in DONE}

    def append(self, slug: str, record: Record) -> None:
        """Add one line to results/<slug>.jsonl: on disk when this returns."""
        assert self._lock is not None, "append outside `with store:`"
        line = (record.to_json() + "\n").encode()
        descriptor = os.open(
            self.folder / f"{slug}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644
        )
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._note(record)

    def __enter__(self) -> "Store":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            raise NormLabError(
                f"another `normlab run` is writing to {self.folder}: wait for it, or stop it."
            ) from None
        for path in self.folder.glob("*.jsonl"):
            repair(path)
        note_sources(self.folder)
        self.reload()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._lock is not None
        os.close(self._lock)  # which also releases it
        self._lock = None


def read_lines(path: Path) -> list[Record]:
    """The records of a file. A torn last line (a killed parent) is passed over; damage elsewhere is an error.

    Raises:
        NormLabError: a line that is not a record, other than the last.
    """
    lines = path.read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            records.append(Record.from_json(line.decode()))
        except (ValueError, TypeError):
            if number != len(lines):
                raise NormLabError(
                    f"{path}, line {number}: not a record; restore the file from version control."
                ) from None
    return records


def repair(path: Path) -> None:
    """Cut a torn last line off, and say so: its trial will run again."""
    content = path.read_bytes()
    if not content or content.endswith(b"\n"):
        return
    whole, _, torn = content.rpartition(b"\n")
    try:
        json.loads(torn)
    except ValueError:
        kept = len(whole) + bool(whole)
        print(
            f"{path}: cut a torn last line off ({len(torn)} bytes); its trial will run again.",
            file=sys.stderr,
        )
    else:  # whole but for its end of line
        kept = len(content)
    with path.open("r+b") as file:
        file.truncate(kept)
        if kept == len(content):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())
