"""A comparison as a table: for the terminal, in Markdown, and as CSV with every digit."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from normlab.claims.metrics import metric as metric_of
from normlab.claims.trials import Summary
from normlab.records.words import number, numbers
from normlab.report.comparison.compare import Comparison, Group
from normlab.report.markdown import plain
from normlab.report.markdown import table as markdown_table

if TYPE_CHECKING:
    from rich.table import Table

_DIGITS = 4
NOTHING = "-"


def columns(comparison: Comparison) -> list[str]:
    """The heads of `rows`."""
    heads = [*comparison.names] or ["runs"]
    heads += ["n", "diverged"]
    heads += ["failed"] if comparison.failures else []
    for name in comparison.metrics:
        metric = metric_of(name)
        heads.append(metric.label)
        if comparison.against:
            heads.append(f"difference, {metric.difference}" if metric.difference else "difference")
    return [*heads, "seconds"]


def rows(comparison: Comparison) -> list[list[str]]:
    """A row of words for each group, the best first."""
    return [_row(comparison, group) for group in comparison.groups]


def _row(comparison: Comparison, group: Group) -> list[str]:
    cells = [group.settings.get(name, "") for name in comparison.names] or ["all"]
    cells += [str(len(group.runs)), str(group.diverged)]
    cells += [str(group.failed)] if comparison.failures else []
    for name in comparison.metrics:
        cells.append(with_interval(group.values[name]))
        if comparison.against:
            difference = with_interval(group.differences[name])
            cells.append("baseline" if group.baseline else difference)
    return [*cells, f"{group.seconds:.1f}" if group.runs else NOTHING]


def with_interval(value: Summary | None) -> str:
    """`62.31 (61.02 to 63.60)`; of a single run no interval."""
    if value is None:
        return NOTHING
    if value.low is None or value.high is None:
        return number(value.mean, _DIGITS)
    mean, low, high = numbers([value.mean, value.low, value.high], _DIGITS)
    return f"{mean} ({low} to {high})"


def notes(comparison: Comparison) -> list[str]:
    """What a reader of the table must know, in sentences."""
    largest = max((len(group.runs) for group in comparison.groups), default=0)
    said = []
    if largest > 1:
        said.append("Means over n runs, with their 95 % interval (Student's t).")
    if comparison.against:
        words = " ".join(f"{name}={value}" for name, value in comparison.against.items())
        said.append(f"Differences to {words} are paired by seed, with their 95 % interval.")
    if comparison.pooled:
        pooled = ", ".join(comparison.pooled)
        said.append(f"The runs of a group differ in {pooled}, too: they count like seeds.")
    return said


def terminal(comparison: Comparison) -> "Table":
    """For `rich`'s console, without lines."""
    from rich.table import Table

    table = Table(*columns(comparison), box=None, pad_edge=False)
    for cells in rows(comparison):
        table.add_row(*cells)
    return table


def markdown(comparison: Comparison) -> str:
    """The table, and what must be known about it below."""
    body = [[plain(cell) for cell in cells] for cells in rows(comparison)]
    heads = [plain(head) for head in columns(comparison)]
    return "\n\n".join([markdown_table(heads, body), *notes(comparison)]) + "\n"


def numbers_of(comparison: Comparison) -> tuple[list[str], list[list[object]]]:
    """Heads and rows with a column for each number, None for what there is not."""
    heads = [*comparison.names, "n", "diverged", "failed", "seconds"]
    for name in comparison.metrics:
        heads += [f"{name}{end}" for end in _ENDS]
        if comparison.against:
            heads += [f"{name}_difference{end}" for end in ("", *_ENDS[1:], "_n")]
    return heads, [_numbers(comparison, group) for group in comparison.groups]


_ENDS = ("", "_low", "_high")


def _numbers(comparison: Comparison, group: Group) -> list[object]:
    cells: list[object] = [group.settings.get(name, "") for name in comparison.names]
    cells += [len(group.runs), group.diverged, group.failed]
    cells.append(group.seconds if group.runs else None)
    for name in comparison.metrics:
        cells += _ends(group.values[name])
        if comparison.against:
            difference = group.differences[name]
            cells += [*_ends(difference), difference.n if difference else None]
    return cells


def _ends(value: Summary | None) -> Sequence[float | None]:
    return (value.mean, value.low, value.high) if value else (None, None, None)


def csv_text(comparison: Comparison) -> str:
    """One line for each group; accuracies in per cent, their differences in points."""
    heads, body = numbers_of(comparison)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(body)
    return text.getvalue()
