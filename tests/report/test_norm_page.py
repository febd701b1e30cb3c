"""The table of norms as a page and as a document: what it marks, and what it leaves unsaid."""

import math
from html.parser import HTMLParser

import pytest

from normlab.records.norm_choices import NormChoice
from normlab.report.norm_document import norm_document
from normlab.report.norm_page import norm_page, profile_figure
from normlab.report.norm_words import battery_profile, entry_text, grouped, profile_rows
from normlab.score.norm_table import BEHIND, BEST, MISS, OPEN, Column, Entry, NormTable
from normlab.score.rows import ROWS
from normlab.score.subject import subject_of
from normlab.score.table import BARRED, Cell

ROW = {row.name: row for row in ROWS}
ALONE = {"meta", "br", "path", "circle", "rect", "line", "use", "polygon", "polyline"}


class Balance(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.stack = []

    def handle_starttag(self, tag, attributes):
        if tag not in ALONE:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in ALONE:
            assert self.stack.pop() == tag


def entry(norm, standing, ratio, value=None, verdict="supported", **more):
    ends = (None, None) if value is None else (value - 1, value + 1)
    return Entry(Cell(norm, verdict, "", value, *ends, n=5), standing, ratio, **more)


@pytest.fixture
def table():
    """frn is best where it can enter, groupnorm behind it; of dyt nothing is recorded."""
    columns = []
    for row in ROWS:
        entries = {
            "frn": entry("frn", BEST, 1.0, 50.0),
            "groupnorm": entry("groupnorm", BEHIND, 1.5, 40.0, behind=("frn",)),
            "dyt": entry("dyt", OPEN, None, verdict="no data", why="not recorded"),
        }
        if row.exact or row.family == "text":
            verdict, why = ("refuted", "") if row.exact else (BARRED, "it takes no <sequences>")
            entries["frn"] = entry("frn", MISS, math.inf, verdict=verdict, why=why)
            entries["groupnorm"] = entry("groupnorm", BEST, 1.0, 4.0)
        columns.append(Column(row, entries))
    norms = tuple(subject_of(kind) for kind in ("frn", "groupnorm", "dyt"))
    stale = {"groupnorm": ("code changed since: norms/group.py",)}
    return NormTable(
        norms, "quick", tuple(columns), stale, {"images": ("digits",)},
        {"images": "cpu (x86_64, 1 thread)"}, ("One is left out.",),
    )  # fmt: skip


CHOICE = NormChoice(
    "images", 2, "x86_64, 1 thread", "accuracy at a normalization batch of 2", "2 points", "%",
    ("frn",), ("frn",), {"frn": (50.0, 49.0, 51.0)}, 2, 5, "a CNN", "quick", ("dyt",),
)  # fmt: skip


def test_the_page_is_one_well_formed_file_with_every_question(table):
    page = norm_page(table, [CHOICE])
    parser = Balance()
    parser.feed(page)
    assert not parser.stack and norm_page(table, [CHOICE]) == page
    assert "it takes no &lt;sequences&gt;" in page and "<sequences>" not in page
    for row in ROWS:
        assert row.name in page
    assert CHOICE.sentence in page and CHOICE.evidence in page
    assert "groupnorm (stale)" in page and "One is left out." in page
    assert "No choice can be made yet" in norm_page(table, [])


def test_the_document_marks_those_that_none_beats(table):
    text = norm_document(table, [CHOICE])
    assert norm_document(table, [CHOICE]) == text
    assert "| frn | **50.0 (49.0 to 51.0)** |" in text
    assert "| groupnorm (stale) | 40.0 (39.0 to 41.0) |" in text and "| dyt | no data |" in text
    assert "worse than another, behind frn" in text and "dyt: not recorded" in text
    assert "| images | 2 | x86_64, 1 thread | frn | frn | 2 |" in text
    assert "too little is recorded" in norm_document(table, [])


def test_what_a_cell_says():
    accuracy, identity = ROW["accuracy"], ROW["batch independence"]
    assert entry_text(identity, entry("a", BEST, 1.0, 0.0)) == "yes"
    assert entry_text(identity, entry("a", MISS, math.inf, 8.0, "refuted")) == "no"
    assert entry_text(accuracy, entry("a", MISS, math.inf, verdict=BARRED)) == "cannot enter"
    assert entry_text(accuracy, entry("a", MISS, math.inf, 11.0)).endswith("does not train")
    # A value of too few seeds is none.
    assert entry_text(accuracy, entry("a", OPEN, None, 50.0)) == "no data"


def test_the_profile_leaves_out_cost_and_norms_without_data(table):
    found = battery_profile(table)
    assert len(found.questions) == len(ROWS) - 2 and set(found.ratios) == {"frn", "groupnorm"}
    rows = {row[0]: row[1:] for row in profile_rows(found)}
    misses = sum(row.exact or row.family == "text" for row in ROWS)
    assert rows["frn"][-1] == f"{misses} of {len(found.questions)}"
    assert rows["groupnorm"][-2:] == ("100", f"0 of {len(found.questions)}")
    figure = profile_figure(found)
    assert "Performance profile" in figure and "dyt" not in figure
    assert profile_figure(battery_profile(NormTable((), "quick", ()))) == ""


def test_every_question_stands_under_one_heading(table):
    names = [column.row.name for columns in grouped(table).values() for column in columns]
    assert sorted(names) == sorted(row.name for row in ROWS)
