"""The page as a browser gets it: whole, self-contained, nothing of a record is markup; and its figures."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up import accuracy, better, claim, fill

from normlab.claims.claim import Arm, Part
from normlab.claims.registry import load_claim
from normlab.claims.rules import (
    equivalent_within,
    greater_by,
    monotone_trend,
    rate,
    ratio_in_interval,
)
from normlab.claims.trials import collect
from normlab.claims.verdicts import verdicts
from normlab.report.build import built
from normlab.report.figures import draw
from normlab.report.panels import panels
from normlab.report.strips import zones

VOID = {"meta", "br", "circle", "path", "rect", "line", "polyline", "polygon", "stop"}


class Page(HTMLParser):
    """Collects ids and links, and checks that every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags = [], [], [], set()
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        assert "src" not in found
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID | {"use"}, f"<{tag}/> stays open in HTML"
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"


@pytest.fixture(scope="module")
def headline(tmp_path_factory):
    """(claim, results) of bn-batch-below-16 on made-up records."""
    folder = tmp_path_factory.mktemp("results")
    one = load_claim("bn-batch-below-16")

    def measure(job, noise):
        name, _, size = job.arm.partition(" ")
        fall = 0.4 / float(size) if name == "batchnorm" else 0.0
        more = {"precise_test_accuracy": 0.6 - fall / 4} if name == "batchnorm" else {}
        return accuracy(0.6 - fall + 0.005 * noise, **more)

    fill(folder, one, measure)
    return one, folder


def figure(one, store):
    (row,) = verdicts([one], store)
    return draw(one, collect(one, row, store))


def test_page_is_whole_self_contained_and_its_links_lead_somewhere(headline, tmp_path):
    one, folder = headline
    text = built(folder, claims=[one])[folder / "report" / "index.html"]
    parsed = Page(text)
    assert len(parsed.ids) == len(set(parsed.ids))
    for link in parsed.links:
        if link.startswith("#"):
            assert link[1:] in parsed.ids
        else:
            assert (folder / "report" / link).resolve().exists(), link
    assert not {"script", "link", "img", "iframe", "object"} & parsed.tags
    assert not re.search(rf"https?:|url\(|@import|{re.escape(str(Path.cwd()))}|\bnan\b", text)
    for said in (
        one.statement.replace("'", "&#39;"),
        *one.caveats,
        one.would_change,
        *(part.rule for part in one.parts),
    ):
        assert said in text
    assert (
        "normlab run bn-batch-below-16 --profile cpu" in text
        and "python train.py data=cifar10" in text
    )
    assert "cifar10 (JPEG copy), 5,000 images of 16×16" in text


def test_what_a_record_or_claim_says_is_never_markup(tmp_path):
    one = claim(arms=(Arm("<script>new", ("norm=frn",)), Arm("old")), parts=1, rules=(
        Part("<i>gain", "a & b", "a < b", lambda evidence: greater_by(evidence.difference("<script>new", "old"), 1.0)),
    ))  # fmt: skip
    fill(
        tmp_path,
        one,
        lambda job, noise: {"metrics": accuracy(0.5), "data": {"name": "<u>x", "fingerprint": ""}},
    )
    text = built(tmp_path, claims=[one])[tmp_path / "report" / "index.html"]
    assert not {"script", "i", "u"} & Page(text).tags
    assert "<b>bold" not in text and "&lt;b&gt;bold&lt;/b&gt; &amp; plain" in text


def test_headline_figure_has_every_line_band_and_seed(headline):
    one, folder = headline
    from normlab.records.store import Store

    svg = figure(one, Store(folder))
    for name in (
        "BatchNorm",
        "BatchNorm with re-estimated statistics",
        "BatchRenorm",
        "GroupNorm",
        "LayerNorm",
        "FRN",
    ):
        assert f"</svg>{name}</li>" in svg
    assert svg.count("<title>batchnorm 1, seed") == 2 * 5  # running and re-estimated statistics
    assert svg.count("<title>frn, seed") == 5
    assert "With 1 sample to a statistic, BatchNorm reaches" in svg


def test_sweep_reads_numbers_from_the_arms_names(tmp_path):
    gains = (0.1, 0.3, 1, 3)
    arms = [
        Arm(f"{k} gain {g}", (f"norm={k}", f"norm.eps={g / 1e5}"))
        for k in ("batchnorm", "groupnorm")
        for g in gains
    ]
    trend = Part(
        "flat",
        "flat",
        "flat",
        lambda e: monotone_trend(e.table([a.name for a in arms[:4]]), gains, 0.1),
    )
    one = claim(figure="sweep", arms=(*arms, Arm("frn", ("norm=frn",))), rules=(trend,))
    svg = figure(one, fill(tmp_path, one, lambda job, noise: accuracy(0.5 + 0.01 * noise)))
    assert "batchnorm gain</li>" in svg and "groupnorm gain</li>" in svg and ">FRN</text>" in svg
    assert all(f">{gain}</text>" in svg for gain in ("0.1", "0.3", "1", "3")) and ">gain</p>" in svg


def test_heat_map_tints_by_the_share_of_the_way_to_the_trivial_loss(tmp_path):
    losses = {"post, no warm-up, 2": 2.0, "post, no warm-up, 12": 3.0, "pre, warm-up, 2": 1.0}
    arms = tuple(Arm(name, (f"norm.eps={index + 1}e-5",)) for index, name in enumerate(losses))
    rules = (
        Part("a", "", "", lambda e: greater_by(e.difference(*list(losses)[:2], "test_loss"), 1.0)),
    )
    one = claim(figure="heat_map test_loss over layers", arms=arms, rules=rules)

    def measure(job, noise):
        stuck = losses[job.arm] == 3.0 and job.seed == 0
        metrics = {"test_loss": losses[job.arm], "val_accuracy": 0.5, "trivial_loss": 3.0}
        return {"metrics": metrics, "status": "diverged" if stuck else "ok"}

    table = figure(one, fill(tmp_path, one, measure))
    assert re.findall(r'<th scope="(?:col|row)"[^>]*>([^<]*)', table) == [
        "2",
        "12",
        "post, no warm-up",
        "pre, warm-up",
    ]
    assert re.findall(r"--share: (\d+)%", table) == ["50", "100", "0"]
    assert table.count("<td></td>") == 1 and table.count("1 of 5 stuck") == 1
    assert "by layers" in table and "3.00 nats" in table


@pytest.mark.parametrize(
    ("names", "series", "over"),
    [
        (("plain CNN 10, none", "plain CNN 20, none"), "plain CNN, none", "depth"),
        (("none, 0.02", "none, 0.04"), "none", "learning rate"),
        (("resnet20 width 8", "resnet20 width 16"), "resnet20 width", ""),
    ],
)
def test_a_sweeps_series_is_the_name_without_its_number(names, series, over, tmp_path):
    arms = tuple(Arm(name, (f"norm.eps={index + 1}e-5",)) for index, name in enumerate(names))
    rules = (Part("a", "", "", lambda e: greater_by(e.difference(*names), 1.0)),)
    one = claim(figure=f"sweep over {over}" if over else "sweep", arms=arms, rules=rules)
    svg = figure(one, fill(tmp_path, one, lambda job, noise: accuracy(0.5 + 0.01 * noise)))
    assert (
        svg.count("<polyline") == 1
        and f"</svg>{series}</li>" in svg
        and f">{over or 'width'}</p>" in svg
    )


def test_curves_leave_out_what_was_not_finite(tmp_path):
    one = claim(figure="curve train_loss", parts=1)
    steps = {"step": [10, 20, 30], "train_loss": [2.0, None, 1.0]}
    store = fill(tmp_path, one, lambda job, noise: {"metrics": accuracy(0.5), "curve": steps})
    svg = figure(one, store)
    assert svg.count('class="trace"') == 2 * 5 and "nan" not in svg
    assert "new ends at 1.00" in svg
    empty = claim(figure="curve val_loss", parts=1)
    assert figure(empty, store) == ""


def test_strips_show_what_the_rules_read(tmp_path):
    def last_loss(record):
        return record.curve["train_loss"][-1]

    rules = (
        Part("a", "", "", lambda e: greater_by(e.difference("new", "old", "test_loss"), 1.0)),
        Part(
            "b",
            "",
            "",
            lambda e: greater_by(e.compute("new", last_loss) - e.compute("old", last_loss), 1.0),
        ),
    )
    one = claim(
        rules=rules, arms=(Arm("new", ("norm=frn",)), Arm("old"), Arm("unread", ("norm=none",)))
    )
    curve = {"step": [1], "train_loss": [2.5]}
    store = fill(
        tmp_path, one, lambda job, noise: {"metrics": better(0.1)(job, noise), "curve": curve}
    )
    (row,) = verdicts([one], store)
    found = {panel.name: panel for panel in panels(one, collect(one, row, store))}
    assert set(found) == {"test_loss", "last loss"}
    assert found["test_loss"].read == {"new", "old"} and "unread" in found["test_loss"].arms
    assert [point.value for point in found["last loss"].arms["new"]] == [2.5] * 5


def test_zones_are_what_the_rules_ask_for():
    """The sentences of the rules are read by their words: this fails if they change."""
    inf, x = math.inf, np.array([1.0, 2.0, 3.0])
    assert zones(greater_by(x, 1.0).text) == [(-inf, 0.5, "refuted"), (1.0, inf, "supported")]
    assert zones(monotone_trend(np.stack([x, x], 1), (1, 2), 3.0).text) == [
        (-inf, 1.5, "refuted"),
        (3, inf, "supported"),
    ]
    assert zones(equivalent_within(x, 2.0).text)[1] == (-2.0, 2.0, "supported")
    inside = [(-inf, 0.0, "refuted"), (5.0, 10.0, "supported"), (inf, inf, "refuted")]
    assert zones(ratio_in_interval(x, 5, 10, (0, inf)).text) == inside
    assert zones(rate(3, 5, 0.2).text) == [(-inf, 0.2, "refuted"), (0.2, inf, "supported")]
    assert zones(rate(3, 5, 0.2, above=False).text) == [
        (-inf, 0.2, "supported"),
        (0.2, inf, "refuted"),
    ]
