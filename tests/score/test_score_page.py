"""The page and the terminal: one file, what is said follows from decided rows, and nothing is
decided under smoke."""

import re
import shlex
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest

from normlab.errors import NormLabError
from normlab.records.store import RESULTS
from normlab.report.score_page import html
from normlab.report.score_words import abilities, against
from normlab.score.request import ScoreProfile, ScoreRequest
from normlab.score.rows import ROWS
from normlab.score.run import run_score
from normlab.score.subject import subject_of
from normlab.score.table import BARRED, BETTER, SAME, WORSE, Cell, Comparison, Line, Score

OPEN_TAGS = {"meta", "br", "path", "circle", "rect", "line", "use", "polygon", "polyline"}


class Balance(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.stack = []

    def handle_starttag(self, tag, attributes):
        if tag not in OPEN_TAGS:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in OPEN_TAGS:
            assert self.stack.pop() == tag


@pytest.fixture
def made_up():
    """A score whose rows are supported, refuted, undecided and barred, in turn."""
    frn, groupnorm = subject_of("frn"), subject_of("groupnorm")
    verdicts = ["supported", "refuted", "inconclusive", BARRED]
    words = [
        (BETTER, "supported"),
        (WORSE, "supported"),
        ("", "inconclusive"),
        ("", BARRED),
        (SAME, "supported"),
    ]
    lines = []
    for index, row in enumerate(ROWS):
        verdict = verdicts[index % 4]
        number = {} if verdict == BARRED else {"value": 3.0, "low": 2.0, "high": 4.0, "n": 5}
        cells = {
            name: Cell(name, verdict, "because <of it>", **number) for name in ("frn", "groupnorm")
        }
        word, sure = words[index % 5]
        lines.append(
            Line(row, cells, {"groupnorm": Comparison("groupnorm", word, sure, "", 1.0, 0.5, 1.5)})
        )
    data, devices = frozenset({"digits"}), frozenset({"cpu (x86_64, 1 thread)"})
    return Score(frn, (groupnorm,), "quick", tuple(lines), data, devices)


def test_every_sentence_comes_from_a_decided_row(made_up):
    words = abilities(made_up)
    by_verdict = {
        verdict: [line.row for line in made_up.lines if line.cells["frn"].verdict == verdict]
        for verdict in ("supported", "refuted", "inconclusive", BARRED)
    }
    assert [sentence.partition(": ")[0] for sentence in words.can] == [
        row.can.partition(": ")[0] for row in by_verdict["supported"]
    ]
    assert len(words.cannot) == len(by_verdict["refuted"]) and words.cannot[0].startswith(
        ROWS[1].cannot
    )
    assert len(words.undecided) == len(by_verdict["inconclusive"])
    assert words.barred == [f"{row.name}: because <of it>" for row in by_verdict[BARRED]]


def test_each_comparison_is_listed_once_under_its_word(made_up):
    sentences = against(made_up)["groupnorm"]
    assert [sentence.partition(" at ")[0] for sentence in sentences[:3]] == [
        "better", "worse", "as good",
    ]  # fmt: skip
    for row in ROWS:
        assert (
            sum(
                bool(re.search(rf"(at|and|,|:) {re.escape(row.name)}(,| and|$)", text))
                for text in sentences
            )
            == 1
        )


def test_the_page_is_one_well_formed_file(made_up):
    page = html(made_up)
    parser = Balance()
    parser.feed(page)
    assert not parser.stack
    assert "because &lt;of it&gt;" in page and "<of it>" not in page
    assert (
        not re.search(r"""(src|href)=["'](?!#)""", page)
        and "url(" not in page
        and "@import" not in page
    )
    assert html(made_up) == page
    for row in ROWS:
        assert row.name in page


def test_the_pages_command_is_one_that_a_shell_reads_back(made_up, own, monkeypatch):
    monkeypatch.syspath_prepend(str(own))
    given = ["eps=1e-3", "axes=[1, 2]", "name=a, b", "affine=false"]
    subject = subject_of("own_norms.Optional", given)
    assert subject.short == "Optional"
    words = shlex.split(
        unescape(re.search("normlab score .*--profile quick", page_of(made_up, subject))[0])
    )
    options = [words[i + 1] for i, word in enumerate(words) if word == "--option"]
    assert words[:3] == ["normlab", "score", "own_norms.Optional"]
    assert subject_of(words[2], options) == subject


def page_of(score, subject):
    """The page of `score`, as if it were of another norm."""
    lines = [
        replace(
            line,
            cells={
                subject.name if name == "frn" else name: cell for name, cell in line.cells.items()
            },
        )
        for line in score.lines
    ]
    return html(replace(score, subject=subject, lines=tuple(lines)))


def test_under_smoke_nothing_is_decided(scored, own):
    page = (own / "results" / "report" / "score-own_norms.MeanAbs-eps-0.01.html").read_text()
    assert (
        "own_norms.MeanAbs eps=0.01" in page
        and "This profile only shows that everything runs." in page
    )
    assert not re.search(
        r'badge yes"><svg[^>]*><use[^>]*></svg>supported', page
    )  # one seed, two draws
    assert re.search(r"^undecided accuracy", scored.stdout, re.M)
    assert re.search(r"^undecided foldability", scored.stdout, re.M)
    assert not re.search(r"^(can|cannot) ", scored.stdout, re.M)


def test_smoke_is_kept_out_of_the_results():
    with pytest.raises(NormLabError, match="smoke is no evidence"):
        run_score(ScoreRequest("frn", (), profile=ScoreProfile.smoke, results=RESULTS))
