"""A claim's verdict with the trials behind it, for a look at them, and the check of an exercise:
what notebooks use. Torch-free."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from normlab.claims.registry import load_claim, slugs
from normlab.claims.stats import t_interval
from normlab.claims.trials import Trials, collect
from normlab.claims.verdicts import verdict
from normlab.records.places import RESULTS
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import NO_DATA, Verdict
from normlab.records.words import effect


@dataclass(frozen=True)
class Recorded:
    """What is on record of one claim. `str()`: its verdict, its answer, and its parts."""

    slug: str
    decided: Verdict | None  # None: there is no such claim here
    store: Store

    @cached_property
    def trials(self) -> Trials:
        return (
            collect(load_claim(self.slug), self.decided, self.store) if self.decided else Trials()
        )

    @property
    def verdict(self) -> str:
        return self.decided.verdict if self.decided else NO_DATA

    def __str__(self) -> str:
        decided = self.decided
        if decided is None or decided.profile is None:
            return f"{self.slug}: {NO_DATA}"
        where = f"{decided.profile} profile, n = {decided.n}"
        lines = [f"{self.slug}: {decided.verdict} ({where})", f"  {decided.answer}"]
        for part in decided.parts:
            words = [f"  {part.name}: {part.verdict}", effect(part)]
            lines.append(", ".join(filter(None, words)))
        return "\n".join(lines)

    def records(self, arm: str) -> list[Record]:
        """An arm's evaluation trials by seed; none where nothing is recorded."""
        return [record for _, record in sorted(self.trials.records.get(arm, {}).items())]

    def values(self, arm: str, metric: str) -> np.ndarray:
        """(n,) of a metric by seed, accuracy in per cent; empty where nothing is recorded."""
        return np.array([point.value for point in self.trials.points(arm, metric)])

    def interval(self, arm: str, metric: str) -> tuple[float, float, float]:
        """(mean, low, high) of a metric, a 95 % t interval over seeds; NaN for fewer than 2
        values."""
        values = self.values(arm, metric)
        if len(values) < 2:
            return (np.nan, np.nan, np.nan)
        mean, low, high = t_interval(values)
        return float(mean), float(low), float(high)


def recorded(slug: str, folder: Path = RESULTS) -> Recorded:
    """What `folder` holds of a claim. A claim that is not there, or has not run, is one without
    data."""
    if slug not in slugs():
        return Recorded(slug, None, _store(folder))
    return Recorded(slug, verdict(load_claim(slug), _store(folder)), _store(folder))


@cache
def _store(folder: Path) -> Store:
    return Store(folder)  # reads a few thousand records


def check(answer: Any, is_right: Callable[[Any], bool], hint: str) -> str:
    """What a reader is told of an answer to an exercise; None: there is none yet.

    An answer that breaks is not right, and is told how it breaks: a cell must not end in a
    traceback while somebody learns.
    """
    if answer is None:
        return "No answer yet: write one in the place of None, and run the cell again."
    try:
        right = is_right(answer)
    except Exception as error:
        return f"Not yet: it ends with {type(error).__name__}: {error}. {hint}"
    return "Right." if right else f"Not yet. {hint}"
