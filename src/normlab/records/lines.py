"""Append-only files of JSON lines: what claims, scores and benchmarks record.

Standard library only.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from normlab.errors import NormLabError

BENCHMARKS = "bench.jsonl"  # in results/, beside the records of claims


class Lines:
    """The files of a folder that `pattern` fits, one JSON object a line; no line is ever changed.

    Reading needs no lock. Writing does: `with lines:` holds them, so that two processes never write
    side by side, and mends what a killed one has left.
    """

    def __init__(self, folder: Path, pattern: str = "*.jsonl", writer: str = "normlab run") -> None:
        self.folder = folder
        self._pattern = pattern
        self._writer = writer
        self._lock: int | None = None

    def files(self) -> list[Path]:
        """Those that are there, by name."""
        return sorted(self.folder.glob(self._pattern))

    def write(self, name: str, rows: Iterable[str]) -> None:
        """Add lines to `<name>.jsonl`: on disk, all of them, when this returns."""
        assert self._lock is not None, "written outside `with`"
        content = "".join(f"{row}\n" for row in rows).encode()
        # All rows in one write: a kill leaves at most the last line torn.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.folder / f"{name}.jsonl", flags, 0o644)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / self._lock_name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # `with` calls no `__exit__` where `__enter__` raises.
            self._release()
            raise NormLabError(
                f"another `{self._writer}` is writing to {self.folder}: wait for it, or stop it."
            ) from None
        # Under the lock: a line that another process is writing would look torn.
        for path in self.files():
            repair(path)
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    @property
    def _lock_name(self) -> str:
        """Of its own for one file, so that a benchmark and a run do not wait for each other."""
        return ".lock" if "*" in self._pattern else f".{self._pattern}.lock"

    def _release(self) -> None:
        assert self._lock is not None
        os.close(self._lock)  # which also gives up the lock
        self._lock = None


def read_lines(path: Path) -> list[tuple[int, bytes]]:
    """(number, content) of each line. A torn last line (of a killed process) is left out."""
    lines = path.read_bytes().split(b"\n")
    torn = lines.pop()
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line]
    if torn and _is_whole(torn):  # but for its end of line
        numbered.append((len(lines) + 1, torn))
    return numbered


def repair(path: Path) -> None:
    """Cut a torn last line off, and say so: its trial will run again."""
    content = path.read_bytes()
    if not content or content.endswith(b"\n"):
        return
    whole, _, torn = content.rpartition(b"\n")
    with path.open("r+b") as file:
        if _is_whole(torn):
            # Only its end is missing: without it, the next line would join this one.
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            # The end of the last whole line stays; where there is no such line, nothing does.
            file.truncate(len(whole) + bool(whole))
            print(
                f"{path}: cut a torn last line off ({len(torn)} bytes); its trial will run again.",
                file=sys.stderr,
            )
        file.flush()
        os.fsync(file.fileno())


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
