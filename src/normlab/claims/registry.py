"""Finding claims: one file in experiments/ each, its stem with dashes is the slug."""

import os
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.execute import load_experiment
from normlab.errors import NormLabError

# NORMLAB_EXPERIMENTS names a folder of claims of one's own.
EXPERIMENTS = Path(os.environ.get("NORMLAB_EXPERIMENTS") or Path(__file__).resolve().parents[3] / "experiments")


def slugs(folder: Path = EXPERIMENTS) -> list[str]:
    """Every claim's slug, sorted."""
    return sorted(path.stem.replace("_", "-") for path in folder.glob("*.py") if not path.stem.startswith("_"))


def load_claim(slug: str, folder: Path = EXPERIMENTS) -> Claim:
    """The claim of experiments/<slug>.py.

    Raises:
        NormLabError: no such file, or a file without a CLAIM of that slug.
    """
    path = folder / f"{slug.replace('-', '_')}.py"
    if not path.is_file():
        near = [known for known in slugs(folder) if slug.split("-")[0] in known] or slugs(folder)
        raise NormLabError(f"unknown claim {slug!r}: choose one of {', '.join(near)}; `normlab list` shows all.")
    claim = getattr(load_experiment(path), "CLAIM", None)
    if not isinstance(claim, Claim) or claim.slug != slug:
        raise NormLabError(f"{path}: define CLAIM = Claim(slug={slug!r}, ...).")
    return claim


def load_all(folder: Path = EXPERIMENTS) -> list[Claim]:
    """Every claim, sorted by slug."""
    return [load_claim(slug, folder) for slug in slugs(folder)]


def docstring(slug: str, folder: Path = EXPERIMENTS) -> str:
    """The experiment file's own words."""
    return load_experiment(folder / f"{slug.replace('-', '_')}.py").__doc__ or ""
