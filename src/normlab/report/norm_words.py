"""The table of norms in words: what terminal, page and document share."""

from collections.abc import Sequence

from normlab.records.verdict import SUPPORTED
from normlab.records.words import device_label, listed, number
from normlab.report.score_words import interval
from normlab.score.norm_table import BEST, MISS, OPEN, Column, Entry, NormTable
from normlab.score.ratios import Profile, profile
from normlab.score.recorded import COST, FAMILIES
from normlab.score.row import Row
from normlab.score.table import BARRED

TRAINING, HARDER, HOLDS, TIME = (
    "Training on images",
    "Under harder conditions",
    "What holds or does not",
    "Cost",
)
GROUPS = (TRAINING, HARDER, HOLDS, TIME)
TAUS = (1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0)  # of a profile, in a table

HOW = (
    "In each question the marked norms are not worse than the best: no other norm is shown to be "
    "better by the question's margin (95 % interval of the difference, Welch). A norm that is not "
    "marked is worse than one of the others, or misses. Each comparison by itself is wrong in at "
    "most 5 % of cases; of all of a table some may be."
)
PROFILE = (
    "For each norm, the share of the questions in which it is within tau times the best (Dolan and "
    "More, 2002; Dahl et al., arXiv:2306.07179). What is compared is the error (100 % less the "
    "accuracy), the points lost (of which less than the margin counts as the margin), the inverse "
    "of a width or a depth, or the batch; an identity holds, or is missed. A norm that cannot "
    "enter, does not train or has not the identity misses: its ratio is infinite. Profiles cross, "
    "and their questions do not matter alike to everybody, so no one number is made of them. Cost "
    "stands beside them."
)


def group_of(row: Row) -> str:
    """Under which heading a question stands."""
    if row.family == COST:
        return TIME
    if row.exact:
        return HOLDS
    return HARDER if row.family == "text" or row.unit == "points" else TRAINING


def grouped(table: NormTable) -> dict[str, list[Column]]:
    """The questions by heading, in order."""
    columns = table.columns
    return {name: [column for column in columns if group_of(column.row) == name] for name in GROUPS}


def entry_text(row: Row, entry: Entry) -> str:
    """`31.2 (30.1 to 32.3)`, `yes` or `no` for an identity, or why there is no number."""
    if entry.cell.verdict == BARRED:
        return "cannot enter"
    if row.exact and entry.standing in (BEST, MISS):
        return "yes" if entry.cell.verdict == SUPPORTED else "no"
    # Of a time that was not measured beside all others the time itself is there.
    if entry.cell.value is None or (entry.standing == OPEN and row.family != COST):
        return "does not train" if entry.standing == MISS else OPEN
    shown = interval(entry.cell.value, entry.cell.low, entry.cell.high)
    return f"{shown}, does not train" if entry.standing == MISS else shown


def standing_text(entry: Entry) -> str:
    """What the norm is in the question; of a time that has a value, that it stands alone."""
    alone = entry.standing == OPEN and entry.ratio is not None
    return "not compared with all" if alone else entry.standing


def ratio_text(entry: Entry) -> str:
    """In times of the best."""
    return "" if entry.ratio is None else number(entry.ratio)


def heading(row: Row) -> str:
    """A question with its unit."""
    return row.name if row.exact else f"{row.name}, {row.unit}"


def battery_profile(table: NormTable) -> Profile:
    """Over all questions but those of cost."""
    asked = [column for column in table.columns if column.row.family != COST]
    return profile(asked, table.names)


def profile_rows(found: Profile) -> list[tuple[str, ...]]:
    """For each norm the share of questions in per cent, at each of `TAUS`, and of its misses."""
    rows = []
    for norm, ratios in found.ratios.items():
        shares = [f"{100 * found.share(norm, tau):.0f}" for tau in TAUS]
        misses = sum(ratio == float("inf") for ratio in ratios)
        rows.append((norm, *shares, f"{misses} of {len(ratios)}"))
    return rows


def profile_notes(found: Profile) -> list[str]:
    """What the profile is over, and which norms are not in it."""
    if not found.questions:
        return ["No question has a best norm yet."]
    notes = [f"Over {len(found.questions)} questions: {listed(found.questions)}."]
    for norm, questions in found.left_out.items():
        notes.append(f"{norm} is left out, without data in {len(questions)} of them.")
    return notes


def made_of(table: NormTable) -> list[str]:
    """For each family of cells, data and device."""
    lines = []
    for family in FAMILIES:
        device = table.devices.get(family, "")
        if device:
            data = listed(table.data.get(family, ()))
            lines.append(f"{family}: {', '.join(filter(None, [data, device_label(device)]))}")
    return lines


def notes(table: NormTable) -> list[str]:
    """What is stale, and which kinds are in no cell."""
    found = [f"Stale, measured with other code than this: {listed(list(table.stale))}."]
    return [*(found if table.stale else []), *table.left_out]


def reasons(column: Column) -> list[str]:
    """Of each norm without a value, or with a miss, why; those of one reason together."""
    names: dict[str, list[str]] = {}
    for name, entry in column.entries.items():
        if entry.why and entry.standing != BEST and not column.row.exact:
            names.setdefault(entry.why, []).append(name)
    return [f"{listed(of_reason)}: {why}" for why, of_reason in names.items()]


def name_in(table: NormTable, norm: str) -> str:
    """A norm, with `(stale)` where its trials are."""
    return f"{norm} (stale)" if norm in table.stale else norm


def plain_rows(table: NormTable, columns: Sequence[Column], mark: str) -> list[list[str]]:
    """A row for each norm: its name and its entries, those not worse than the best with `mark`
    formatted around them (`{}` stands for the entry)."""
    rows = []
    for norm in table.names:
        cells = [name_in(table, norm)]
        for column in columns:
            entry = column.entries[norm]
            text = entry_text(column.row, entry)
            cells.append(mark.format(text) if entry.standing == BEST else text)
        rows.append(cells)
    return rows
