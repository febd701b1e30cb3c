"""Decoded images kept on disk.

Decoding CIFAR-10's 60,000 JPEGs takes 6 s, and mapping their bytes takes none. Never more than a
shortcut: a folder that cannot be written or an entry that cannot be read means decoding again.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def cache_folder() -> Path:
    """NORMLAB_CACHE, or `normlab` in the user's cache folder."""
    own = os.environ.get("NORMLAB_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "normlab"


def files_key(files: Iterable[Path], *options: object) -> str:
    """A key that changes with name, size or modification time of any of `files`, and `options`."""
    digest = hashlib.sha256(repr(options).encode())
    for file in sorted(files):
        # Size and time instead of content: reading what is there would cost what the cache saves.
        stat = file.stat()
        digest.update(f"{file.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def has_decoded(name: str, key: str = "hub") -> bool:
    """Whether an entry is there (it may still turn out to be damaged)."""
    return (cache_folder() / f"{name}-{key}").is_dir()


def decoded(name: str, key: str, arrays: Sequence[str], decode: Callable[[], Arrays]) -> Arrays:
    """The named arrays of an earlier `decode()` under the same key, memory-mapped.

    Where there are none, those of this one, which is kept for later.
    """
    entry = cache_folder() / f"{name}-{key}"
    with contextlib.suppress(OSError, ValueError, EOFError):  # not there, or damaged
        return {array: np.load(entry / f"{array}.npy", mmap_mode="r") for array in arrays}
    fresh = decode()
    with contextlib.suppress(OSError):
        _store(entry, fresh)
    return fresh


def _store(entry: Path, arrays: Arrays) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    # On the file system of the entry, so that renaming moves the folder in one step.
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".new-") as scratch:
        complete = Path(scratch) / "arrays"
        complete.mkdir()
        for name, array in arrays.items():
            np.save(complete / f"{name}.npy", array, allow_pickle=False)
        # Damaged, or another process was faster: an entry is only ever replaced whole.
        if entry.exists():
            entry.rename(Path(scratch) / "old")
        complete.rename(entry)
