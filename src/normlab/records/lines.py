"""Append-only files of JSON lines: what claims, scores and benchmarks record.

Standard library only.
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from normlab.errors import NormLabError

# In results/, beside the records of claims.
BENCHMARKS = "bench.jsonl"
ZOO = "zoo.jsonl"
WAIT_S = 60.0  # for another process that writes, which may be about to end
_LOOK_S = 0.2


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
        """Add lines to `<name>.jsonl`: on disk, all of them, when this returns.

        Raises:
            NormLabError: they do not fit on the disk, say; then none is added.
        """
        assert self._lock is not None, "written outside `with`"
        content = "".join(f"{row}\n" for row in rows).encode()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        path = self.folder / f"{name}.jsonl"
        descriptor = os.open(path, flags, 0o644)
        try:
            _append(descriptor, content)
        except OSError as error:
            raise NormLabError(
                f"{path} cannot be written ({error.strerror}): make room, or name another folder."
            ) from None
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / self._lock_name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._hold(self._lock)
            self._prepare()
        except BaseException:
            # `with` calls no `__exit__` where `__enter__` raises.
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    def _hold(self, lock: int) -> None:
        until = time.monotonic() + WAIT_S
        waiting = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise NormLabError(
                        f"another `{self._writer}` is writing to {self.folder}: wait for it, or "
                        "stop it."
                    ) from None
            except OSError as error:  # of a file system without locks, say
                raise NormLabError(
                    f"{self.folder} cannot be locked ({error.strerror}): name a folder on a disk "
                    "of this machine."
                ) from None
            if not waiting:
                waiting = True
                words = f"another `{self._writer}` is writing to {self.folder}"
                print(f"{words}: waiting up to {WAIT_S:g} s for it.", file=sys.stderr, flush=True)
            time.sleep(_LOOK_S)

    def _prepare(self) -> None:
        """What is done first, under the lock: a line that another is writing would look torn."""
        for path in self.files():
            repair(path)

    @property
    def _lock_name(self) -> str:
        """Of its own for one file, so that a benchmark and a run do not wait for each other."""
        return ".lock" if "*" in self._pattern else f".{self._pattern}.lock"

    def _release(self) -> None:
        assert self._lock is not None
        os.close(self._lock)  # which also gives up the lock
        self._lock = None


def _append(descriptor: int, content: bytes) -> None:
    """All of `content`, synced, at the end of an open file; nothing where that fails."""
    size = os.fstat(descriptor).st_size
    # All rows in one write: a kill leaves at most the last line torn. One that finds too little
    # room writes what fits and raises nothing; the next says why.
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        # Without its end this line would join the next.
        os.ftruncate(descriptor, size)
        raise


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
