"""docs/norm_table.md: every kind of norm in every question of the battery, and what to choose."""

from collections.abc import Sequence

from normlab.records.norm_choices import NormChoice
from normlab.records.words import listed
from normlab.report.markdown import plain, table
from normlab.report.norm_words import (
    HOW,
    PROFILE,
    TAUS,
    battery_profile,
    entry_text,
    grouped,
    heading,
    made_of,
    name_in,
    notes,
    plain_rows,
    profile_notes,
    profile_rows,
    ratio_text,
    reasons,
    standing_text,
)
from normlab.score.norm_table import Column, NormTable

_HEAD = """# The norms, question by question

<!-- Built by `normlab report` from results/score/: changes made by hand are lost. -->

Every kind of norm goes through the [battery](score.md) of small trials.

```bash
normlab score --all            # runs what is missing; hours, and it goes on where it stopped
normlab score --all --no-run   # only reads what is recorded
```
"""
_SMALL = "networks so small stand for larger ones, and do not speak for them"


def norm_document(norms: NormTable, choices: Sequence[NormChoice]) -> str:
    """The page; the same records give the same text."""
    parts = [_HEAD.strip(), *_take_home(choices), "## The table", HOW]
    for name, columns in grouped(norms).items():
        heads = ("norm", *(heading(column.row) for column in columns))
        rows = [list(map(plain, row)) for row in plain_rows(norms, columns, "\0{}\0")]
        # `plain` would take the stars of the marks for what a norm is called.
        shown = [[cell.replace("\0", "**") for cell in row] for row in rows]
        parts.append(f"### {name}\n\n{table(heads, shown)}")
    parts += _profile(norms)
    parts.append("## Ranked, question by question\n\nThe best value first.")
    parts += [_ranking(norms, column) for column in norms.columns if not column.row.exact]
    parts.append("\n".join(["## What it rests on", "", *_points(made_of(norms) + notes(norms))]))
    return "\n\n".join(parts) + "\n"


def _take_home(choices: Sequence[NormChoice]) -> list[str]:
    """For each modality, batch and device the norms; what they rest on once for all batches."""
    if not choices:
        return ["## What to take home", "No choice can be made yet: too little is recorded."]
    rows = [
        (
            choice.modality,
            str(choice.batch),
            choice.device or "not timed",
            plain(listed(choice.norms)),
            plain(listed(choice.cheapest)) or "no data",
            f"{choice.compared}",
        )
        for choice in choices
    ]
    heads = ("modality", "batch", "device", "not worse than the best", "of these cost least", "of")
    grounds: dict[str, None] = {}
    for choice in choices:
        text = f"{choice.modality}: by {choice.question.partition(' at ')[0]}, margin "
        text += f"{choice.margin}; n = {choice.n} seeds a norm; {choice.trained}"
        grounds[text] = None
    return [
        "## What to take home",
        "The batch is that of the samples that share statistics. `of` is how many norms have data. "
        "`normlab advise` reads these rows.",
        table(heads, rows),
        "\n".join(_points([*grounds, _SMALL])),
    ]


def _profile(norms: NormTable) -> list[str]:
    found = battery_profile(norms)
    parts = ["## Profile over the battery", PROFILE]
    if found.ratios:
        heads = ("norm", *(f"within {tau:g}" for tau in TAUS), "misses")
        rows = [tuple(map(plain, row)) for row in profile_rows(found)]
        parts += ["Questions in per cent:", table(heads, rows)]
    return [*parts, "\n".join(_points(profile_notes(found)))]


def _ranking(norms: NormTable, column: Column) -> str:
    rows = []
    for name in column.ranked:
        entry = column.entries[name]
        if entry.cell.value is not None:
            behind = f", behind {listed(entry.behind)}" if entry.behind else ""
            standing = plain(f"{standing_text(entry)}{behind}")
            cells = (plain(name_in(norms, name)), entry_text(column.row, entry), ratio_text(entry))
            rows.append((*cells, standing))
    head = f"### {heading(column.row)}\n\n{plain(column.row.measured)}."
    left = "\n".join(_points(reasons(column)))
    body = table(("norm", "value (95 % interval)", "times the best", "standing"), rows)
    return "\n\n".join(filter(None, [head, body if rows else "", left]))


def _points(lines: Sequence[str]) -> list[str]:
    return [f"- {plain(line)}" for line in lines]
