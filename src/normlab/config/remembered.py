"""Composed configurations, remembered: Hydra takes 0.1 s for one, and a plan of all claims needs hundreds."""

import atexit
import copy
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from normlab.data.cache import cache_folder
from normlab.norms.registry import declared_kinds
from normlab.records.files import write_atomically
from normlab.records.places import CONF

_LATE = (
    "seed",
    "optim.lr",
    "evaluations",
)  # set on a composed configuration, so that one composition serves an arm


def plain_config(overrides: tuple[str, ...]) -> dict[str, Any]:
    """What `to_dict(compose(overrides))` gives, from the user's cache where the same was composed before."""
    known = _remembered()
    name = "\n".join(overrides)
    if name not in known:
        from normlab.config.schema import compose, to_dict

        known[name] = to_dict(compose(list(overrides)))
    return known[name]


def trial_config(overrides: tuple[str, ...]) -> Any:
    """What `compose(overrides)` gives, in a worker that runs many trials of an arm."""
    from omegaconf import OmegaConf

    late = [item.split("=", 1) for item in overrides if item.split("=", 1)[0] in _LATE]
    cfg = copy.deepcopy(
        _composed(tuple(item for item in overrides if item.split("=", 1)[0] not in _LATE))
    )
    for key, value in late:
        OmegaConf.update(cfg, key, OmegaConf.create(f"value: {value}").value)
    return cfg


@cache
def _composed(overrides: tuple[str, ...]) -> Any:
    from normlab.config.schema import compose

    return compose(list(overrides))


@cache
def _remembered() -> dict[str, dict[str, Any]]:
    """Of this very conf/ and schema; written back when the process ends, if it has grown."""
    digest = hashlib.sha256(Path(__file__).with_name("schema.py").read_bytes())
    for path in sorted({declared.path for declared in declared_kinds().values()}):
        digest.update(path.read_bytes())
    for file in sorted(CONF.rglob("*.yaml")):
        digest.update(f"{file.relative_to(CONF)}".encode() + file.read_bytes())
    path = cache_folder() / f"configs-{digest.hexdigest()[:16]}.json"
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    atexit.register(_write_back, path, known, len(known))
    return known


def _write_back(path: Path, known: dict[str, dict[str, Any]], size: int) -> None:
    if len(known) == size:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(known))
    except OSError:
        pass  # a shortcut only
