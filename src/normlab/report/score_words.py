"""A score in words: what a norm can and cannot do, each sentence from a decided row, and what is
undecided."""

from collections.abc import Iterable
from dataclasses import dataclass

from normlab.records.verdict import PARTLY, REFUTED, SUPPORTED
from normlab.records.words import listed, number, numbers
from normlab.score.decide import BARRED, BETTER, SAME, WORSE, Cell, Comparison, Line, Score
from normlab.score.row import Row


@dataclass(frozen=True)
class Said:
    """What the rows decide of the norm by itself; `barred` and `open` with their reasons."""

    can: list[str]
    cannot: list[str]
    barred: list[str]
    open: list[str]


def said(score: Score) -> Said:
    """Sentences that follow the norm's name."""
    result = Said([], [], [], [])
    for line in score.lines:
        cell = line.cells[score.subject.name]
        if cell.verdict == SUPPORTED:
            result.can.append(f"{line.row.can}: {value(line.row, cell)}")
        elif cell.verdict == REFUTED:
            result.cannot.append(f"{line.row.cannot}: {value(line.row, cell)}")
        elif cell.verdict == BARRED:
            result.barred.append(f"{line.row.name}: {cell.text}")
        else:
            result.open.append(f"{line.row.name}: {cell.text}")
    return result


def against(score: Score) -> dict[str, list[str]]:
    """By reference: better at ..., worse at ..., as good at ..., undecided: ..."""
    found = {}
    for other in score.references:
        rows = [(line.row.name, line.comparisons[other.name]) for line in score.lines]
        names = {
            f"{BETTER} at": _names(rows, BETTER, SUPPORTED),
            f"{BETTER}, by less than the margin, at": _names(rows, BETTER, PARTLY),
            f"{WORSE} at": _names(rows, WORSE, SUPPORTED),
            f"{WORSE}, by less than the margin, at": _names(rows, WORSE, PARTLY),
            f"{SAME} at": _names(rows, SAME, SUPPORTED),
            "undecided:": [name for name, one in rows if not one.word and one.verdict != BARRED],
            "not compared:": [name for name, one in rows if one.verdict == BARRED],
        }
        found[other.name] = [f"{how} {listed(what)}" for how, what in names.items() if what]
    return found


def _names(rows: Iterable[tuple[str, Comparison]], word: str, verdict: str) -> list[str]:
    return [name for name, one in rows if one.word == word and one.verdict == verdict]


def value(row: Row, cell: Cell) -> str:
    """`31.2 % (30.1 to 32.3)`, an identity's largest error, or a word where there is no number."""
    if cell.value is None:
        return cell.verdict
    if row.exact:
        return f"{row.unit} {number(cell.value, 2)}"
    return f"{_interval(cell.value, cell.low, cell.high)} {row.unit}"


def difference(row: Row, one: Comparison) -> str:
    """`+1.2 points (0.3 to 2.1)`; a ratio for rows on a log scale; "" without numbers."""
    if one.value is None:
        return ""
    shown = _interval(one.value, one.low, one.high)
    if row.log:
        return f"{shown} times"
    unit = "points" if row.unit == "%" else row.unit
    return f"{'+' if one.value > 0 else ''}{shown} {unit}"


def _interval(middle: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return number(middle)
    if low == high:
        return f"{number(middle)} (all seeds)"
    shown = numbers([middle, low, high])
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def judged(one: Comparison) -> str:
    """`better, supported`: the word and how sure it is."""
    return f"{one.word}: {one.verdict}" if one.word else one.verdict


def decided(line: Line) -> bool:
    """Whether a row says anything of any norm in it."""
    return any(cell.verdict in (SUPPORTED, REFUTED) for cell in line.cells.values())
