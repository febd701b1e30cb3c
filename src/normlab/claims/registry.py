"""Finding claims: one file each, in a topic's folder of experiments/; its stem gives the slug."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from normlab.claims.claim import Claim
from normlab.errors import NormLabError
from normlab.records.places import EXPERIMENTS

_LOADED: dict[Path, tuple[int, ModuleType]] = {}  # file -> when it had changed, and its module


def slugs(folder: Path = EXPERIMENTS) -> list[str]:
    """Every claim's slug, sorted."""
    return sorted(
        path.stem.replace("_", "-")
        for path in folder.rglob("*.py")
        if not path.stem.startswith("_")
    )


def experiment_file(slug: str, folder: Path = EXPERIMENTS) -> Path | None:
    """Where the claim `slug` is written; None if there is no such file."""
    return next(iter(sorted(folder.rglob(f"{slug.replace('-', '_')}.py"))), None)


def load_claim(slug: str, folder: Path = EXPERIMENTS) -> Claim:
    """The claim of experiments/<topic>/<slug>.py.

    Raises:
        NormLabError: no such file, or a file without a CLAIM of that slug.
    """
    path = experiment_file(slug, folder)
    if path is None:
        # All slugs fill a screen: those that share the first word, if there are any.
        near = [known for known in slugs(folder) if slug.split("-")[0] in known] or slugs(folder)
        raise NormLabError(
            f"unknown claim {slug!r}: choose one of {', '.join(near)}; `normlab list` shows all."
        )
    claim = getattr(load_experiment(path), "CLAIM", None)
    if not isinstance(claim, Claim) or claim.slug != slug:
        raise NormLabError(f"{path}: define CLAIM = Claim(slug={slug!r}, ...).")
    return claim


def load_all(folder: Path = EXPERIMENTS) -> list[Claim]:
    """Every claim, sorted by slug."""
    return [load_claim(slug, folder) for slug in slugs(folder)]


def docstring(slug: str, folder: Path = EXPERIMENTS) -> str:
    """The experiment file's own words."""
    path = experiment_file(slug, folder)
    return (load_experiment(path).__doc__ or "") if path else ""


def load_experiment(path: Path) -> ModuleType:
    """The module of an experiment file, loaded once, and again if the file has changed."""
    name = f"normlab_experiment_{path.stem}"
    changed = path.stat().st_mtime_ns
    known = _LOADED.get(path)
    if known is not None and known[0] == changed:
        return known[1]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses of the file look their own module up there.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    _LOADED[path] = changed, module
    return module
