"""What `normlab run` is asked for.

Imports nothing heavy, since the command line's help is made of it.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.places import RESULTS

SMOKE_RESULTS = Path("runs") / "smoke"


class Profile(StrEnum):
    """How much is run."""

    smoke = "smoke"
    quick = "quick"
    full = "full"
    gpu = "gpu"


class EngineName(StrEnum):
    """Where trials run."""

    local = "local"
    ray = "ray"
    submitit = "submitit"


class LoggerName(StrEnum):
    """Where curves go, by the files of conf/logger."""

    csv = "csv"
    tensorboard = "tensorboard"
    wandb = "wandb"


@dataclass(frozen=True)
class RunRequest:
    """The options of `normlab run`."""

    slugs: tuple[str, ...] = ()
    all_claims: bool = False
    profile: Profile = Profile.quick
    seeds: int | None = None  # for every arm alike; None: as many as the protocol says
    workers: int | None = None  # None: one per core
    engine: EngineName = EngineName.local
    minutes: float | None = None  # after which no trial is started
    renew: bool = False  # run again what other code has recorded
    norm: str | None = None  # in the place of one of theirs
    loggers: tuple[LoggerName, ...] = ()
    results: Path | None = None  # None: the results folder, or that of smoke runs


def results_folder(results: Path | None, *, smoke: bool) -> Path:
    """Where records go: to `results` if given. Those of smoke runs are kept apart from evidence.

    Raises:
        NormLabError: a smoke run into the results folder.
    """
    folder = results or (SMOKE_RESULTS if smoke else RESULTS)
    if smoke and folder.resolve() == RESULTS.resolve():
        raise NormLabError(
            "--profile smoke is no evidence: leave --results out, "
            "or name another folder than results/."
        )
    return folder
