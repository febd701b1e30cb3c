"""Composed configurations, kept: Hydra takes 0.1 s for one, and a plan needs hundreds.

What Hydra composes depends on the choices of groups, of which a plan has few. Values are set on a
copy, as Hydra sets them. The user's cache folder keeps the plain values for the next process, under
a name that changes with conf/, with the schema and with the libraries that compose.
"""

import atexit
import copy
import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normlab.config.schema import Config
from normlab.data.cache import cache_folder
from normlab.norms.registry import declared_kinds
from normlab.records.files import write_atomically
from normlab.records.places import CONF, PACKAGE

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

# The files besides conf/ and the norms that decide what is composed, and the libraries.
_SCHEMA = (
    "config/schema.py",
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
        from normlab.config.compose import to_dict

        kept[name] = to_dict(trial_config(overrides))
    return kept[name]


def trial_config(overrides: tuple[str, ...]) -> Config:
    """`compose(overrides)`, where many are composed of the same choices.

    Raises:
        HydraException, OmegaConfBaseException, NormLabError: as `compose`.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from normlab.config.compose import compose, typed

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [one for one in parsed if _sets_a_value(one)]
    choices = tuple(str(one.input_line) for one in parsed if one not in values)
    # A copy: the composed one serves every later call with the same choices.
    node = copy.deepcopy(_composed(choices))
    try:
        # In the order of the command, as Hydra takes them: of two for one key the last counts.
        for one in values:
            OmegaConf.update(node, one.key_or_group, one.value(), merge=True)
    except OmegaConfBaseException:
        return compose(overrides)  # which says in Hydra's words what is wrong
    return typed(node)


def _sets_a_value(override: "Override") -> bool:
    """Rather than choose from a group, add, delete or sweep."""
    plain = not (override.is_add() or override.is_delete() or override.is_sweep_override())
    return plain and not (CONF / override.key_or_group).is_dir()


@cache
def _composed(overrides: tuple[str, ...]) -> "DictConfig":
    from normlab.config.compose import compose_node

    return compose_node(overrides)


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
