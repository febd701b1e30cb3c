"""The site: its first page narrows, sorts and saves what it shows; a page of each claim."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from made_up import better, claim, fill
from py_mini_racer import MiniRacer

from normlab.claims.claim import Arm, Part
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast
from normlab.report import pages
from normlab.report.build import built

SCRIPT = Path(pages.__file__).with_name("site.js")
ROWS = [
    {
        "slug": slug, "statement": statement, "topic": topic, "verdict": verdict, "answer": "",
        "clauses": [{"name": "gain", "verdict": verdict, "effect": "3 (1 to 5) points"}],
        "documents": documents, "norms": norms, "stands_for": stands, "n": n, "profile": "quick",
        "device": "a GPU", "data": "cifar10, 5,000 images; digits" if n else "",
        "again": "did not hold" if slug == "b" else "",
    }
    for slug, statement, topic, verdict, documents, norms, stands, n in (
        ("b", 'It is "so", always.', "depth", "refuted", ["Lesson"], ["layernorm"], [], 5),
        ("a", "=1+1", "cost", "no data", ["Lesson", "Course"], ["rmsnorm"], ["a GPU"], 0),
        ("c", "Batches matter.", "depth", "supported", ["Course"], ["layernorm"], ["BERT"], 8),
    )
]  # fmt: skip


def in_script(expression: str):
    """What the page's script makes of an expression; `rows` are ROWS."""
    context = MiniRacer()
    context.eval(f"const rows = {json.dumps(ROWS)};\n{SCRIPT.read_text()}")
    return json.loads(context.eval(f"JSON.stringify({expression})"))


@pytest.mark.parametrize(
    ("fragment", "slugs"),
    [
        ("", ["c", "b", "a"]),
        ("#sort=name", ["a", "b", "c"]),
        ("#sort=topic", ["a", "b", "c"]),
        ("#sort=seeds", ["c", "b", "a"]),
        ("#topic=depth&verdict=refuted", ["b"]),
        ("#norm=layernorm", ["c", "b"]),
        ("#q=100%", []),  # no text of an address
        ("#document=Course", ["c", "a"]),
        ("#stands=yes", ["c", "a"]),
        ("#data=digits&device=a+GPU", ["c", "b"]),
        ("#data=images", []),
        ("#stands=no", ["b"]),
        ("#again=did+not+hold", ["b"]),
        ("#again=never", ["c", "a"]),
        ("#q=ALWAYS+so", ["b"]),
        ("#q=depth+nothing", []),
        ("#b", ["c", "b", "a"]),
    ],
)
def test_a_fragment_chooses_what_is_shown(fragment, slugs):
    shown = in_script(f"shownOf(rows, stateOf({json.dumps(fragment)})).map((row) => row.slug)")
    assert shown == slugs


def test_a_permalink_holds_what_differs_from_everything():
    back = in_script("fragmentOf(stateOf('#verdict=partly%20supported&q=a%26b&sort=verdict&x=y'))")
    assert back == "q=a%26b&verdict=partly%20supported"
    assert in_script("fragmentOf(stateOf(''))") == ""


def test_csv_is_read_back_and_holds_no_formula():
    text = in_script("toCsv(shownOf(rows, stateOf('#sort=name')))")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["slug"] for row in rows] == ["a", "b", "c"]
    assert rows[1]["statement"] == 'It is "so", always.' and rows[0]["statement"] == "'=1+1"
    assert rows[0]["documents"] == "Lesson; Course"
    assert rows[2]["clauses"] == "gain: supported, 3 (1 to 5) points"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The first page and that of a claim, on made-up records."""
    folder = tmp_path_factory.mktemp("results")
    clause = Part("gain", "by a point", difference("new", "old"), AtLeast(1.0), stands_for="</p>")
    scope = Part("more", "by five", difference("new", "old"), AtLeast(5.0))
    one = claim(rules=(clause,), scope=(scope,))
    fill(folder, one, better(0.03))
    other = claim("other", arms=(Arm("new", ("norm=rmsnorm",)), Arm("old", ("norm=none",))))
    texts = built(folder, claims=[one, other])
    report = folder / "report"
    return texts[report / "index.html"], texts[report / "claims" / "made-up.html"]


def test_the_first_page_is_read_without_scripts_and_links_to_each_claim(site):
    first, _ = site
    assert '<form id="choose" hidden>' in first
    for slug in ("made-up", "other"):
        assert f'id="{slug}"' in first and f'href="claims/{slug}.html"' in first
    assert '<p class="answer">New is better.</p>' in first
    for name in (
        "q",
        "document",
        "topic",
        "verdict",
        "norm",
        "data",
        "device",
        "stands",
        "again",
        "sort",
    ):
        assert f'name="{name}"' in first
    assert '<option value="no data">' in first and '<option value="refuted">' not in first


def test_the_pages_own_data_is_what_its_rows_say(site):
    (text,) = re.findall(r'id="claims-data">(.*?)</script>', site[0], re.S)
    rows = {row["slug"]: row for row in json.loads(text)}
    made_up, other = rows["made-up"], rows["other"]
    assert made_up["verdict"] == "supported" and made_up["stands_for"] == ["</p>"]
    assert [clause["name"] for clause in made_up["clauses"]] == ["gain"]  # no scope
    assert other["verdict"] == "no data" and other["n"] == 0


def test_a_claims_page_answers_first(site):
    _, text = site
    heads = [
        "New is better.</p>", ">Decided by<", 'class="strips"', ">Scope, which decides nothing<",
        ">Who says so<", ">Every trial<", ">Run it again<", ">Caveats<",
    ]  # fmt: skip
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert "normlab run made-up --profile quick --results again</code>" in text
    assert '<a href="../index.html#verdicts">' in text


def test_every_trial_is_in_the_table(site):
    _, text = site
    (table,) = re.findall(r'<table class="trials">.*?</table>', text, re.S)
    assert "<summary>10 evaluation trials" in text
    assert table.count("<tr><td>") == 10 and table.count('scope="rowgroup"') == 2
    assert len(re.findall(r"<td>ok</td>", table)) == 10
    assert "test accuracy, %" in table
