"""README's picture and answers, and VERDICTS.md: from records, between marks, in fixed bytes."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib
import pytest
from made_up import accuracy, claim, fill

from normlab.claims.claim import Arm, Part
from normlab.claims.quantity import difference
from normlab.claims.registry import load_claim
from normlab.claims.rules import AtLeast
from normlab.claims.verdicts import verdicts
from normlab.errors import NormLabError
from normlab.records.verdict import Earlier
from normlab.report import headline, readme
from normlab.report.headline import headline_of
from normlab.report.verdict_table import verdict_page

SLUG = headline.HEADLINE
MARKS = "<!-- {0}:begin -->\ntyped\n<!-- {0}:end -->\n"


def card(slug="a-claim", verdict="supported", parts=None, stale=False):
    """What the tables read of a card. `parts`: name -> (verdict, effect)."""
    clauses = [
        SimpleNamespace(
            name=name,
            statement=f"that of {name}",
            verdict=outcome,
            effect=effect,
            decides=True,
            stands_for="",
        )
        for name, (outcome, effect) in (parts or {"one": (verdict, "1.5 (1 to 2) points")}).items()
    ]
    words = SimpleNamespace(slug=slug, statement="It | is <so>.", documents=("A", "B"))
    return SimpleNamespace(
        claim=words, verdict=verdict, clauses=clauses, n=5, stale=stale, answer="", history=[],
        marks=[], again=[], evidence="cpu profile",
        file=f"topic/{slug.replace('-', '_')}.py",
    )  # fmt: skip


def answer_cards():
    """A card for each claim that README shows."""
    cards = [card(slug) for slug in readme.ANSWERS]
    for one in cards:
        one.answer = f"What {one.claim.slug} | says."
    return cards


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """(claim, store): BatchNorm over 1, 8 and 64 samples at 50.1, 50.8 and 56.4 %; GroupNorm."""
    sizes = (1, 8, 64)
    at = [{"norm": "batchnorm", "normalization_batch": n} for n in sizes]
    arms = [Arm(f"of {n}", (f"norm.ghost_batch={n}",), at=at[i]) for i, n in enumerate(sizes)]
    arms.append(Arm("other", ("norm=groupnorm",), at={"norm": "groupnorm"}))
    rule = Part("fall", "", difference("of 64", "of 1"), AtLeast(1.0))
    one = claim("headline", rules=(rule,), arms=tuple(arms))
    monkeypatch.setattr(headline, "HEADLINE", "headline")

    def measure(job, noise):
        size = next((n for n in sizes if job.arm == f"of {n}"), 20)
        return {"metrics": accuracy(0.5 + size / 1000)}

    return one, fill(tmp_path, one, measure)


def test_blocks_are_put_between_their_marks():
    text = "before\n" + MARKS.format("a") + "between\n" + MARKS.format("b") + "after\n"
    made = readme.put(text, {"a": "first", "b": "second"})
    lines = re.findall(r"^(?!<!--).+$", made, re.M)
    assert lines == ["before", "first", "between", "second", "after"]
    assert readme.put(made, {"a": "first", "b": "second"}) == made
    for damaged in ("nothing", "<!-- a:end --><!-- a:begin -->", text + "<!-- a:begin -->"):
        with pytest.raises(NormLabError, match="once each"):
            readme.put(damaged, {"a": "first"})


def test_an_answer_shows_its_claim_verdict_sentence_and_n():
    block = readme.blocks(answer_cards(), None)["answers"]
    rows = [line for line in block.splitlines() if line.startswith("| [")]
    assert len(rows) == len(readme.ANSWERS) == 8
    for row, slug in zip(rows, readme.ANSWERS, strict=True):
        assert f"experiments/topic/{slug.replace('-', '_')}.py" in row
        assert f"| What {slug} \\| says. | 5 |" in row
    assert "8 claims: 8 supported." in block


def test_verdict_page_has_a_row_for_each_claim_and_its_parts_below():
    mixed = {"a": ("supported", "1 point"), "b": ("refuted", ""), "c": ("supported", "2")}
    cards = [
        card("late"), card("early", stale=True),
        card("mixed", "partly supported", mixed), card("none", "no data"),
    ]  # fmt: skip
    text = verdict_page(cards)
    assert "4 claims: 2 supported, 1 partly supported and 1 no data." in text
    assert text.index("[`early`]") < text.index("[`late`]") < text.index("[`mixed`]")
    assert "It \\| is &lt;so&gt;." in text and "**supported** (stale)" in text
    assert "| 3 clauses: 2 supported and 1 refuted | 5 |" in text
    assert "| 1.5 (1 to 2) points | 5 |" in text
    assert "- b, **refuted**: that of b\n" in text and "- c, **supported**: that of c. 2\n" in text
    assert text.count("<details>") == text.count("</details>") == 2


def test_what_is_not_decided_yet_says_what_the_rules_before_came_to():
    one = card("none", "no data")
    assert "| nothing yet |" in verdict_page([one, card("b")]).split("## No data")[1]
    one.history = [Earlier("first", "refuted", "0"), Earlier("second", "supported", "1 | 2")]
    said = "not decided yet by these rules; second: supported, 1 \\| 2"
    assert f"| {said} |" in verdict_page([one, card("b")])
    shown = card(readme.ANSWERS[0], "no data")
    shown.history = one.history
    assert f"| {said} |" in readme.blocks([shown], None)["answers"]


def test_picture_says_in_its_caption_what_it_shows(batches):
    one, store = batches
    made = headline_of([one], verdicts([one], store), store)
    assert made.caption.startswith(
        "With 1 sample to a statistic, BatchNorm reaches 50.1 % and GroupNorm 52.0 % "
        "(guessing: 10 %); with 64, BatchNorm reaches 56.4 %. Means of 5 seeds"
    )
    assert f'alt="{made.title}"' in readme.blocks([], made)["picture"]
    assert made.caption in readme.blocks([], made)["picture"]


def test_picture_is_well_formed_in_both_themes_and_moves_with_the_records(batches, monkeypatch):
    one, store = batches
    rows = verdicts([one], store)
    first = headline_of([one], rows, store).pictures
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 40.0)  # a matplotlibrc of the user's
    assert headline_of([one], rows, store).pictures == first
    assert first.keys() == {"light", "dark"} and first["light"] != first["dark"]
    for svg in first.values():
        shown = {text.strip() for text in ElementTree.fromstring(svg).itertext()}
        assert {"BatchNorm", "GroupNorm", "1", "8", "64"} <= shown
        assert "Matplotlib" not in svg and "dc:date" not in svg
    record = next(record for record in store.records.values() if record.arm == "of 8")
    record.metrics["test_accuracy"] += 0.1
    assert headline_of([one], rows, store).pictures["light"] != first["light"]


def test_a_norm_has_its_colour_whichever_others_are_there(batches):
    one, store = batches
    svg = headline_of([one], verdicts([one], store), store).pictures["light"]
    colours = headline.THEMES["light"].norms
    assert colours["groupnorm"] in svg and colours["batchrenorm"] not in svg
    arms = load_claim(SLUG).arms
    assert {arm.at["norm"] for arm in arms} <= colours.keys()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 5.0, 3.0], [1.0, 5.0, 3.0]),  # far enough apart: each in its place
        ([2.0, 2.0], [1.5, 2.5]),
        ([3.0, 2.0, 2.5], [3.5, 1.5, 2.5]),
        ([2.0, 2.0, 3.4], [1.5, 2.5, 3.5]),  # the third is pushed by the others
        ([0.0, 0.0, 9.0, 9.0], [-0.5, 0.5, 8.5, 9.5]),
    ],
)
def test_names_of_curves_keep_their_order_and_do_not_lie_on_each_other(values, expected):
    assert headline.spread(values, 1.0) == pytest.approx(expected, abs=0.04)


def test_batchnorm_stands_once_more_with_new_statistics(batches):
    one, store = batches
    for record in store.records.values():
        if record.arm == "of 1":
            record.metrics["precise_test_accuracy"] = 0.99
    svg = headline_of([one], verdicts([one], store), store).pictures["light"]
    assert "with new statistics" in svg


def test_a_norm_without_a_colour_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(headline, "HEADLINE", "made-up")
    arms = (Arm("new", ("norm=rmsnorm",), at={"norm": "rmsnorm"}), Arm("old", at={"norm": "frn"}))
    one = claim(arms=arms)
    store = fill(tmp_path, one, lambda job, noise: accuracy(0.5))
    with pytest.raises(NormLabError, match="no colour for rmsnorm"):
        headline_of([one], verdicts([one], store), store)


def test_no_picture_where_no_norm_over_a_batch_is_recorded(batches, tmp_path):
    one, _ = batches
    store = fill(
        tmp_path / "flat",
        one,
        lambda job, noise: accuracy(0.5),
        leave_out=lambda j: j.arm != "other",
    )
    assert headline_of([one], verdicts([one], store), store) is None


def test_no_picture_without_records(tmp_path):
    one = claim("bn-batch-below-16")
    store = fill(tmp_path, one, None, leave_out=lambda job: True)
    assert headline_of([one], verdicts([one], store), store) is None
    assert "normlab run bn-batch-below-16" in readme.blocks([], None)["picture"]
