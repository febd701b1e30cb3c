"""Records -> the table of norms, by the rules that the score of one norm has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from normlab.records.verdict import NO_DATA, REFUTED, SUPPORTED
from normlab.score.norm_table import BEHIND, BEST, MISS, OPEN, Column, Entry, NormTable
from normlab.score.ratios import ratios
from normlab.score.recorded import COST, FAMILIES, IMAGES, Recorded, SharedDecider, share_a_layout
from normlab.score.request import ScoreProfile
from normlab.score.row import Row
from normlab.score.rows import ROWS
from normlab.score.subject import Subject
from normlab.score.table import BARRED, BETTER, WORSE, Cell
from normlab.score.values import TRAINS


def norm_table(recorded: Recorded, left_out: Sequence[str] = ()) -> NormTable:
    """Every question of the battery for every norm, from what is recorded.

    left_out: kinds that are in no cell, with the reason, to be told.
    """
    stale = {norm.name: recorded.stale(norm) for norm in recorded.norms}
    return NormTable(
        recorded.norms,
        recorded.profile,
        tuple(columns(ROWS, recorded)),
        stale={name: reasons for name, reasons in stale.items() if reasons},
        data={family: recorded.data(family) for family in FAMILIES},
        devices=dict(recorded.devices),
        left_out=tuple(left_out),
    )


def columns(rows: Iterable[Row], recorded: Recorded) -> list[Column]:
    """An entry for each norm in each of `rows`."""
    decider = _Columns(recorded)
    return [decider.column(row) for row in rows]


class _Columns:
    """Decides a question for all norms at once."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.decider = SharedDecider(recorded)
        self._accuracy = next(row for row in ROWS if row.name == "accuracy")
        self._trains: dict[str, bool | None] = {}

    def column(self, row: Row) -> Column:
        """The row for every norm: its own cell, then what others have shown to be better."""
        entries = {norm.name: self._alone(row, norm) for norm in self.recorded.norms}
        # A norm that misses, or of which too little is known, beats nobody and needs no comparison.
        running = [norm for norm in self.recorded.norms if entries[norm.name].standing == BEST]
        if not row.exact:
            cells = {name: entry.cell for name, entry in entries.items()}
            entries |= self._compared(row, running, cells)
        return Column(row, _with_ratios(row, entries))

    def _alone(self, row: Row, norm: Subject) -> Entry:
        """By itself: BEST until another is shown to be better."""
        cell = self.decider.cell(row, norm)
        if cell.verdict == BARRED:
            return Entry(cell, MISS, why=cell.text)
        if self.decider.profile == ScoreProfile.smoke:
            return Entry(cell, OPEN, why="this profile is no evidence")
        if self._needs_training(row) and self._does_train(norm) is False:
            return Entry(cell, MISS, why="the base net with it does not train here")
        wanted = self.recorded.wanted(row.family)
        if cell.value is None or cell.n < wanted:
            why = f"{cell.n} of {wanted} seeds in every arm" if cell.n else "not recorded"
            return Entry(replace(cell, verdict=NO_DATA), OPEN, why=why)
        if row.exact and cell.verdict != SUPPORTED:
            standing = MISS if cell.verdict == REFUTED else OPEN
            return Entry(cell, standing, why=cell.text)
        if _trains_nowhere(row, cell):
            return Entry(cell, MISS, why="it trains in none of these cells")
        return Entry(cell, BEST)

    def _needs_training(self, row: Row) -> bool:
        """Whether it asks what a net loses, of which one that does not train has nothing."""
        return row.family == IMAGES and row.sign < 0

    def _does_train(self, norm: Subject) -> bool | None:
        """Whether the base net trains, by the mean over all its seeds; None without them."""
        if norm.name not in self._trains:
            cell = self.decider.cell(self._accuracy, norm)
            known = cell.value is not None and cell.n >= self.recorded.wanted(IMAGES)
            trains = cell.value is not None and cell.value >= 100 * TRAINS
            self._trains[norm.name] = trains if known else None
        return self._trains[norm.name]

    def _compared(
        self, row: Row, running: Sequence[Subject], cells: Mapping[str, Cell]
    ) -> dict[str, Entry]:
        """Each pair of `running` once, by the row's own rule."""
        behind: dict[str, list[str]] = {norm.name: [] for norm in running}
        unknown: dict[str, list[str]] = {norm.name: [] for norm in running}
        for index, one in enumerate(running):
            for other in running[index + 1 :]:
                # Timed on two inputs, they are no pair.
                if row.family == COST and not share_a_layout(one, other):
                    continue
                word = self._word(row, one, other, cells)
                if word is None:
                    unknown[one.name].append(other.name)
                    unknown[other.name].append(one.name)
                elif word in (BETTER, WORSE):
                    worse, better = (other, one) if word == BETTER else (one, other)
                    behind[worse.name].append(better.name)
        return {
            norm.name: _standing(cells[norm.name], behind[norm.name], unknown[norm.name])
            for norm in running
        }

    def _word(
        self, row: Row, one: Subject, other: Subject, cells: Mapping[str, Cell]
    ) -> str | None:
        """What `one` is against `other`: BETTER or WORSE if that is supported, "" if nothing is.

        None where the trials that compare them are missing.
        """
        if row.pair and not self._has_pair(row, one, other):
            # A score of the other may have timed them, the other way round.
            if not self._has_pair(row, other, one):
                return None
            turned = self.decider.comparison(row, other, one, cells)
            word = {BETTER: WORSE, WORSE: BETTER}.get(turned.word, "")
            return word if turned.verdict == SUPPORTED else ""
        found = self.decider.comparison(row, one, other, cells)
        if found.verdict == NO_DATA:
            return None
        return found.word if found.verdict == SUPPORTED else ""

    def _has_pair(self, row: Row, one: Subject, other: Subject) -> bool:
        assert row.pair is not None
        arms = row.pair(one, other)
        wanted = self.recorded.wanted(row.family)
        return all(len(self.recorded.trials(row.family, arm.name)) >= wanted for arm in arms)


def _standing(cell: Cell, behind: Sequence[str], unknown: Sequence[str]) -> Entry:
    # Shown to be worse than one norm, it stays so whatever the others come to.
    if behind:
        return Entry(cell, BEHIND, behind=tuple(behind))
    if unknown:
        return Entry(cell, OPEN, why=f"not measured beside {', '.join(unknown)}")
    return Entry(cell, BEST)


def _trains_nowhere(row: Row, cell: Cell) -> bool:
    """Whether a width is 0, a depth that of a single layer, or an accuracy that of chance."""
    if row.sign < 0 or cell.value is None:
        return False
    if row.unit == "%":
        return cell.value < 100 * TRAINS
    return cell.value <= (1.0 if row.log else 0.0)


def _with_ratios(row: Row, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """A ratio for each entry of which something is known; of an identity 1 where it holds."""
    values: dict[str, float | None] = {}
    for name, entry in entries.items():
        known = entry.standing in (BEST, BEHIND) or (row.family == COST and entry.cell.n)
        if known:
            # An identity holds or does not: its largest rounding error is no size of anything.
            values[name] = row.margin if row.exact else entry.cell.value
        elif entry.standing == MISS:
            values[name] = None
    found = ratios(row, values)
    return {name: replace(entry, ratio=found.get(name)) for name, entry in entries.items()}
