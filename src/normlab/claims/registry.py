"""Finding claims: one file each, in a topic's folder of experiments/; its stem gives the slug."""

import importlib.util
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from normlab.claims.claim import Claim
from normlab.errors import NormLabError
from normlab.records.places import EXPERIMENTS
from normlab.records.tree import only_python

_LOADED: dict[Path, tuple[int, ModuleType]] = {}  # file -> when it had changed, and its module


def slugs(folder: Path = EXPERIMENTS) -> list[str]:
    """Every claim's slug, sorted.

    Raises:
        NormLabError: two files of one slug.
    """
    return sorted(experiment_files(folder))


def experiment_file(slug: str, folder: Path = EXPERIMENTS) -> Path | None:
    """Where the claim `slug` is written; None if there is no such file.

    Raises:
        NormLabError: two files of one slug.
    """
    return experiment_files(folder).get(slug)


def experiment_files(folder: Path = EXPERIMENTS) -> dict[str, Path]:
    """By slug, in whatever topic's folder.

    Raises:
        NormLabError: two files of one slug.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("[!_]*.py")):
        slug = path.stem.replace("_", "-")
        if slug in files:
            raise NormLabError(f"{files[slug]} and {path} are both claim {slug!r}: rename one.")
        files[slug] = path
    return files


def load_claim(slug: str, folder: Path = EXPERIMENTS) -> Claim:
    """The claim of experiments/<topic>/<slug>.py.

    Raises:
        NormLabError: no such file, or a file without a CLAIM of that slug.
    """
    path = experiment_file(slug, folder)
    if path is None:
        raise NormLabError(
            f"unknown claim {slug!r}: choose one of {', '.join(_near(slug, slugs(folder)))}; "
            "`normlab list` shows all."
        )
    return _claim_in(path, slug)


def _claim_in(path: Path, slug: str) -> Claim:
    claim = getattr(load_experiment(path), "CLAIM", None)
    if not isinstance(claim, Claim) or claim.slug != slug:
        raise NormLabError(f"{path}: define CLAIM = Claim(slug={slug!r}, ...).")
    return claim


def _near(slug: str, known: Sequence[str]) -> Sequence[str]:
    """Those that `slug` may stand for: all of them fill a screen, but are better than none."""
    slug = slug.replace("_", "-").lower()
    if slug in known:
        return [slug]
    first_word = slug.split("-")[0]
    alike = get_close_matches(slug, known)
    return alike or [one for one in known if first_word in one] or known


def load_all(folder: Path = EXPERIMENTS) -> list[Claim]:
    """Every claim, sorted by slug."""
    # One look at the folder, and not one for each claim.
    return [_claim_in(path, slug) for slug, path in sorted(experiment_files(folder).items())]


def docstring(slug: str, folder: Path = EXPERIMENTS) -> str:
    """The experiment file's own words."""
    path = experiment_file(slug, folder)
    return (load_experiment(path).__doc__ or "") if path else ""


def load_experiment(path: Path) -> ModuleType:
    """The module of an experiment file, loaded once, and again if the file has changed.

    Raises:
        NormLabError: it is not Python.
    """
    name = f"normlab_experiment_{path.stem}"
    changed = path.stat().st_mtime_ns
    known = _LOADED.get(path)
    if known is not None and known[0] == changed:
        return known[1]
    loader = SourceFileLoader(name, str(path))
    with only_python(path):
        loader.get_code(name)  # of this file alone, and not of what it imports
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses of the file look their own module up there.
    sys.modules[name] = module
    loader.exec_module(module)
    _LOADED[path] = changed, module
    return module
