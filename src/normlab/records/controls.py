"""The A/A controls of timings: in the record of a trial, or a row of a benchmark. Standard library
only.

A control is the ratio of a baseline to another one like it, and must be 1. Where it is off the
reading is void, and its ratio is not kept.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

# Begin the names of a trial's metrics; what follows names a cell, and is the same in both.
CONTROL, LOG = "control", "log"


class Control(NamedTuple):
    """A reading of one cell. value: None where it was not recorded. kept: its ratio is there."""

    cell: str
    value: float | None
    kept: bool


def controls(row: Mapping[str, Any]) -> list[Control]:
    """All controls of a record or a row; none where nothing was timed."""
    metrics = row.get("metrics")
    if not isinstance(metrics, Mapping):
        if row.get(CONTROL) is None:
            return []
        return [Control("its baseline", float(row[CONTROL]), not row.get("void"))]
    return [
        Control(cell.strip(" _"), metrics[CONTROL + cell], metrics[LOG + cell] is not None)
        for cell in cells(metrics, LOG)
        if CONTROL + cell in metrics
    ]


def without_control(metrics: Mapping[str, Any]) -> list[str]:
    """The cells of a timed trial that have a ratio and no control."""
    return [cell.strip(" _") for cell in cells(metrics, LOG) if CONTROL + cell not in metrics]


def cells(metrics: Mapping[str, Any], word: str) -> list[str]:
    """What follows `word` in names of metrics, sorted, each with its blank or underline."""
    named = [name for name in metrics if name.startswith((f"{word} ", f"{word}_"))]
    return sorted(name.removeprefix(word) for name in named)
