"""Composed configurations, kept: Hydra takes 0.1 s for one, and a plan needs hundreds.

A process keeps what it has composed, and the user's cache folder keeps the plain values for the
next process, under a name that changes with conf/ and with the schema.
"""

import atexit
import copy
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.config.schema import Config
from normlab.data.cache import cache_folder
from normlab.norms.registry import declared_kinds
from normlab.records.files import write_atomically
from normlab.records.places import CONF, PACKAGE

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Set on a composed configuration, so that one composition serves all trials of an arm.
_LATE = ("seed", "optim.lr", "evaluations")
# The files besides conf/ and the norms that decide what is composed.
_SCHEMA = ("config/schema.py", "config/compose.py", "data/options.py", "models/options.py")


def plain_config(overrides: tuple[str, ...]) -> dict[str, Any]:
    """`to_dict(compose(overrides))`, from the user's cache where the same was composed before."""
    kept = _kept_configs()
    name = "\n".join(overrides)
    if name not in kept:
        from normlab.config.compose import compose, to_dict

        kept[name] = to_dict(compose(overrides))
    return kept[name]


def trial_config(overrides: tuple[str, ...]) -> Config:
    """`compose(overrides)`, in a worker that runs many trials of an arm."""
    from omegaconf import OmegaConf

    from normlab.config.compose import typed

    late = [item for item in overrides if _key_of(item) in _LATE]
    node = copy.deepcopy(_node(tuple(item for item in overrides if item not in late)))
    for item in late:
        key, value = item.split("=", 1)
        OmegaConf.update(node, key, OmegaConf.create(f"value: {value}").value)
    return typed(node)


def _key_of(override: str) -> str:
    return override.split("=", 1)[0]


@cache
def _node(overrides: tuple[str, ...]) -> "DictConfig":
    from normlab.config.compose import compose_node

    return compose_node(overrides)


@cache
def _kept_configs() -> dict[str, dict[str, Any]]:
    """Of this very conf/ and schema; written back when the process ends, if it has grown."""
    digest = hashlib.sha256()
    own = {declared.path for declared in declared_kinds().values()}
    for path in (*(PACKAGE / name for name in _SCHEMA), *sorted(own)):
        digest.update(path.read_bytes())
    for file in sorted(CONF.rglob("*.yaml")):
        digest.update(f"{file.relative_to(CONF)}".encode() + file.read_bytes())
    path = cache_folder() / f"configs-{digest.hexdigest()[:16]}.json"
    try:
        kept: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError):
        kept = {}
    atexit.register(_write_back, path, kept, len(kept))
    return kept


def _write_back(path: Path, kept: dict[str, dict[str, Any]], size: int) -> None:
    if len(kept) == size:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(kept))
    except OSError:
        pass  # a shortcut only
