"""Composed configurations as plain values, kept in the user's cache folder for the next process.

A plan needs hundreds, and Hydra alone takes a second to be imported. The file's name changes with
conf/, with the schema and with the libraries that compose.
"""

import atexit
import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from normlab.data.cache import cache_folder
from normlab.norms.registry import declared_kinds
from normlab.records.files import write_atomically
from normlab.records.places import CONF, PACKAGE

# The files besides conf/ and the norms that decide what is composed, and the libraries.
_SCHEMA = (
    "config/schema.py",
    "config/bounds.py",
    "config/compose.py",
    "data/options.py",
    "models/options.py",
    "norms/registry.py",
)
_LIBRARIES = ("hydra-core", "omegaconf")


def plain_config(overrides: tuple[str, ...]) -> dict[str, Any]:
    """`to_dict(compose(overrides))`, from the user's cache where the same was composed before."""
    kept = _kept_configs()
    name = "\n".join(overrides)
    if name not in kept:
        # Hydra comes with it: a process that finds all its configurations kept needs neither.
        from normlab.config.compose import compose, to_dict

        kept[name] = to_dict(compose(overrides))
    return kept[name]


@cache
def _kept_configs() -> dict[str, dict[str, Any]]:
    """Of this very conf/ and schema; written back when the process ends, if it has grown."""
    path = cache_folder() / f"configs-{_digest()}.json"
    kept = _read(path)
    atexit.register(_write_back, path, kept, len(kept))
    return kept


def _digest() -> str:
    """16 hexadecimal digits that stand for all that decides what is composed."""
    digest = hashlib.sha256()
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    # The options of a norm are declared in its file, wherever that lies.
    own = {declared.path for declared in declared_kinds().values()}
    for path in (*(PACKAGE / name for name in _SCHEMA), *sorted(own)):
        digest.update(path.read_bytes())
    for file in sorted(CONF.rglob("*.yaml")):
        # With its name, which is what a choice is called.
        digest.update(f"{file.relative_to(CONF)}".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _write_back(path: Path, kept: dict[str, dict[str, Any]], size: int) -> None:
    """Add what this process has composed to what others have written meanwhile."""
    if len(kept) == size:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(_read(path) | kept))
    except OSError:
        pass  # a shortcut only


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The configurations in the file; none where it is missing or damaged."""
    try:
        kept: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return kept
