"""How files are replaced, whole or not at all, and held for one process. Standard library only."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` when the block ends well.

    A killed process leaves the old file or the new one, never half of one.
    """
    # The process in its name: two that write the same file at once do not meet in one draft.
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield draft
        # On disk before the old content is given up.
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replace the content of `path` by `text` in one step."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def held(folder: Path, waiting: str) -> Iterator[None]:
    """Inside, no other process holds `folder`; `waiting` is said where one does, and has to end.

    A lock ends with its process, however that ends. Where there are no locks (on some network
    disks) nothing is held.
    """
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(waiting, file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass
        yield
    finally:
        os.close(lock)
