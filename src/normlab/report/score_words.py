"""A score in words: what a norm can and cannot do, each sentence from a decided row."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from normlab.records.verdict import REFUTED, SUPPORTED
from normlab.records.words import listed, number, numbers
from normlab.score.row import Row
from normlab.score.table import BARRED, BETTER, SAME, WORSE, Cell, Comparison, Score


@dataclass(frozen=True)
class Abilities:
    """Sentences that follow the norm's name; `barred` and `undecided` rows have their reasons."""

    can: list[str] = field(default_factory=list)
    cannot: list[str] = field(default_factory=list)
    barred: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


def abilities(score: Score) -> Abilities:
    """What the rows decide of the norm by itself."""
    words = Abilities()
    for line in score.lines:
        cell, row = line.cells[score.subject.name], line.row
        if cell.verdict == SUPPORTED:
            words.can.append(f"{row.can}: {value(row, cell)}")
        elif cell.verdict == REFUTED:
            words.cannot.append(f"{row.cannot}: {value(row, cell)}")
        elif cell.verdict == BARRED:
            words.barred.append(f"{row.name}: {cell.text}")
        else:
            words.undecided.append(f"{row.name}: {cell.text}")
    return words


def against(score: Score) -> dict[str, list[str]]:
    """By reference: better at ..., worse at ..., as good at ..., undecided: ..."""
    sentences = {}
    for other in score.references:
        rows = [(line.row.name, line.comparisons[other.name]) for line in score.lines]
        names = {
            f"{BETTER} at": _names(rows, BETTER, SUPPORTED),
            f"{WORSE} at": _names(rows, WORSE, SUPPORTED),
            f"{SAME} at": _names(rows, SAME, SUPPORTED),
            "undecided:": [name for name, one in rows if not one.word and one.verdict != BARRED],
            "not compared:": [name for name, one in rows if one.verdict == BARRED],
        }
        sentences[other.name] = [f"{how} {listed(what)}" for how, what in names.items() if what]
    return sentences


def _names(rows: Iterable[tuple[str, Comparison]], word: str, verdict: str) -> list[str]:
    return [name for name, one in rows if one.word == word and one.verdict == verdict]


def value(row: Row, cell: Cell) -> str:
    """`31.2 % (30.1 to 32.3)`, an identity's largest error, or a word where there is no number."""
    if cell.value is None:
        return cell.verdict
    if row.exact:
        return f"{row.unit} {number(cell.value, 2)}"
    return f"{interval(cell.value, cell.low, cell.high)} {row.unit}"


def difference(row: Row, comparison: Comparison) -> str:
    """`+1.2 points (0.3 to 2.1)`; a ratio for rows on a log scale; "" without numbers."""
    if comparison.value is None:
        return ""
    shown = interval(comparison.value, comparison.low, comparison.high)
    if row.log:
        return f"{shown} times"
    unit = "points" if row.unit == "%" else row.unit
    return f"{'+' if comparison.value > 0 else ''}{shown} {unit}"


def interval(middle: float, low: float | None, high: float | None) -> str:
    """`31.2 (30.1 to 32.3)`; the number alone where there is no interval, or none is needed."""
    if low is None or high is None:
        return number(middle)
    if low == high:
        return f"{number(middle)} (all seeds)"
    shown = numbers([middle, low, high])
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def certainty(comparison: Comparison) -> str:
    """`better: supported`, the word and how sure it is."""
    if not comparison.word:
        return comparison.verdict
    return f"{comparison.word}: {comparison.verdict}"
