"""What `normlab score` is asked for.

Imports nothing heavy, since the command line's help is made of it.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

REFERENCES = ("batchnorm", "layernorm", "groupnorm", "rmsnorm")


class ScoreProfile(StrEnum):
    """How much a score runs."""

    smoke = "smoke"
    quick = "quick"


@dataclass(frozen=True)
class ScoreRequest:
    """The options of `normlab score`."""

    norm: str  # a kind, or a dotted path to a class
    against: tuple[str, ...] = REFERENCES
    options: tuple[str, ...] = ()  # of the norm, NAME=VALUE
    profile: ScoreProfile = ScoreProfile.quick
    workers: int | None = None  # None: one per core
    timed: bool = True  # measure the cost, too, after all else
    minutes: float | None = None  # after which no trial is started
    renew: bool = False  # run the references again, if other code made them
    results: Path | None = None  # None: the results folder, or that of smoke runs


@dataclass(frozen=True)
class TableRequest:
    """The options of `normlab score --all`."""

    guests: tuple[str, ...] = ()  # dotted paths to classes, beside every kind
    profile: ScoreProfile = ScoreProfile.quick
    workers: int | None = None  # None: one per core
    timed: bool = True  # measure the cost, too, after all else
    minutes: float | None = None  # after which no trial is started
    renew: bool = False  # run again what other code has recorded
    run: bool = True  # False: read only what is recorded
    results: Path | None = None  # None: the results folder, or that of smoke runs
