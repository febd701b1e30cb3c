"""The table of norms: every question of the battery, and in each the norms that none beats.

Norms are ranked question by question. Nothing here adds questions up to one number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from normlab.score.row import Row
from normlab.score.subject import Subject
from normlab.score.table import Cell

# What a norm is in a question.
BEST = "not worse than the best"
BEHIND = "worse than another"
MISS = "a miss"  # it cannot enter, does not train, or has not the identity that is asked for
OPEN = "no data"  # records are missing: nothing is said


@dataclass(frozen=True)
class Entry:
    """A norm in a question.

    ratio: its cost or loss in times of the best one's, see `normlab.score.ratios`; infinite for a
    miss, None where nothing is known. behind: the norms that are shown to be better. why: of a
    miss, and of what has no data.
    """

    cell: Cell
    standing: str
    ratio: float | None = None
    behind: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Column:
    """One question: an entry for each norm, by name."""

    row: Row
    entries: Mapping[str, Entry]

    @property
    def best(self) -> list[str]:
        """The norms that none is shown to beat, in the order of the table."""
        return [name for name, one in self.entries.items() if one.standing == BEST]

    @property
    def ranked(self) -> list[str]:
        """All with a value, the best value first; then misses, then what has no data."""
        return sorted(self.entries, key=self._place)

    def _place(self, name: str) -> tuple[int, float, str]:
        entry = self.entries[name]
        value = entry.cell.value
        # A time that was not compared with all others has a value and a ratio all the same.
        if entry.standing != MISS and entry.ratio is not None and value is not None:
            return 0, -self.row.sign * value, name
        return (1 if entry.standing == MISS else 2), 0.0, name


@dataclass(frozen=True)
class NormTable:
    """Every norm in every question.

    stale: by norm, what has changed since its trials were made; norms whose trials stand are left
    out. data, devices: by family of cells. left_out: kinds that are in no cell, with the reason.
    """

    norms: tuple[Subject, ...]
    profile: str
    columns: tuple[Column, ...]
    stale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    data: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    devices: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(norm.name for norm in self.norms)
