"""Pages as a browser gets them: whole, self-contained, nothing of a record is markup; and their
figures."""

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up import accuracy, better, claim, fill
from markupsafe import escape

from normlab.claims.claim import Arm, Part
from normlab.claims.figure import Curve, HeatMap, Sweep
from normlab.claims.quantity import Quantity, difference
from normlab.claims.registry import load_claim
from normlab.claims.rules import AtLeast, Between, Exact, Rate, Rises, Within
from normlab.claims.trials import collect
from normlab.claims.verdicts import verdicts
from normlab.report.build import built, write
from normlab.report.figures import draw
from normlab.report.panels import panels

VOID = {"meta", "br", "input", "circle", "path", "rect", "line", "polyline", "polygon", "stop"}


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
    texts = built(folder, claims=[one])
    write(texts)
    first = folder / "report" / "index.html"
    page = folder / "report" / "claims" / f"{one.slug}.html"
    for path in (first, page):
        text = texts[path]
        parsed = Page(text)
        assert len(parsed.ids) == len(set(parsed.ids))
        for link in parsed.links:
            way, _, place = link.partition("#")
            assert (path.parent / way).resolve().exists() if way else place in parsed.ids, link
        assert not {"link", "img", "iframe", "object"} & parsed.tags
        assert not re.search(rf"https?:|url\(|@import|{re.escape(str(Path.cwd()))}|\bnan\b", text)
        assert len(text.encode()) < 300_000  # twelve seeds of sixteen arms
    assert "script" not in Page(texts[page]).tags
    text = texts[first] + texts[page]
    rules = [part.rule_words for part in one.parts]
    for words in (one.statement, *one.caveats, one.would_change, *rules):
        assert escape(words) in text
    assert (
        "normlab run bn-batch-below-16 --profile quick" in text
        and "python train.py data=cifar10" in text
    )
    assert "cifar10 (JPEG copy), 5,000 images of 16×16" in text


def test_what_a_record_or_claim_says_is_never_markup(tmp_path):
    one = claim(arms=(Arm("<script>new", ("norm=frn",)), Arm("old")), parts=1, rules=(
        Part("<i>gain", "a & b", difference("<script>new", "old"), AtLeast(1.0)),
    ))  # fmt: skip
    fill(
        tmp_path,
        one,
        lambda job, noise: {"metrics": accuracy(0.5), "data": {"name": "<u>x", "fingerprint": ""}},
    )
    texts = built(tmp_path, claims=[one])
    first = texts.pop(tmp_path / "report" / "index.html")
    text = texts[tmp_path / "report" / "claims" / f"{one.slug}.html"]
    assert not {"script", "i", "u"} & Page(text).tags and not {"i", "u"} & Page(first).tags
    assert first.count("<script") == 2 and first.count("</script>") == 2  # data, and what reads it
    for page in (first, text):
        assert "<b>bold" not in page and "&lt;b&gt;bold&lt;/b&gt; &amp; plain" in page


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
    n = one.protocols["quick"].looks.most
    assert svg.count("<title>batchnorm 1, seed") == 2 * n  # running and re-estimated statistics
    assert svg.count("<title>frn, seed") == n
    assert "With 1 sample to a statistic, BatchNorm reaches" in svg


def test_sweep_reads_the_arms_coordinates(tmp_path):
    gains = (0.1, 0.3, 1, 3)
    arms = [
        Arm(f"{k} gain {g}", (f"norm={k}", f"norm.eps={g / 1e5}"), at={"norm": k, "gain": g})
        for k in ("batchnorm", "groupnorm")
        for g in gains
    ]
    names = [arm.name for arm in arms[:4]]
    table = Quantity("accuracy by gain", "points", lambda e: tuple(e.table(names).T))
    trend = Part("flat", "flat", table, Rises(gains, 0.1))
    shown = Sweep(x="gain", x_label="gain", bands=("frn",))
    one = claim(figure=shown, arms=(*arms, Arm("frn", ("norm=frn",))), rules=(trend,))
    svg = figure(one, fill(tmp_path, one, lambda job, noise: accuracy(0.5 + 0.01 * noise)))
    assert "batchnorm</li>" in svg and "groupnorm</li>" in svg and ">FRN</text>" in svg
    assert all(f">{gain}</text>" in svg for gain in ("0.1", "0.3", "1", "3")) and ">gain</p>" in svg


def test_heat_map_tints_by_the_share_of_the_way_to_the_trivial_loss(tmp_path):
    losses = {"post, no warm-up, 2": 2.0, "post, no warm-up, 12": 3.0, "pre, warm-up, 2": 1.0}
    arms = []
    for index, name in enumerate(losses):
        placement, warmup, depth = name.split(", ")
        place = {"placement": placement, "warmup": warmup, "depth": int(depth)}
        arms.append(Arm(name, (f"norm.eps={index + 1}e-5",), at=place))
    rules = (Part("a", "", difference(*list(losses)[:2], "test_loss"), AtLeast(1.0)),)
    shown = HeatMap(x="depth", x_label="layers", by=("placement", "warmup"))
    one = claim(figure=shown, arms=tuple(arms), rules=rules)

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


@pytest.mark.parametrize("losses", [(3.0, 3.0), (3.5, 4.0)])
def test_heat_map_of_arms_that_did_not_train_is_full(losses, tmp_path):
    places = ({"depth": 2, "placement": "pre"}, {"depth": 12, "placement": "pre"})
    arms = tuple(Arm(str(i), (f"norm.eps={i + 1}e-5",), at=at) for i, at in enumerate(places))
    rules = (Part("a", "", difference("0", "1", "test_loss"), AtLeast(1.0)),)
    shown = HeatMap(x="depth", x_label="layers", by=("placement",))
    one = claim(figure=shown, arms=arms, rules=rules)

    def measure(job, noise):
        metrics = {"test_loss": losses[int(job.arm)], "val_accuracy": 0.5, "trivial_loss": 3.0}
        return {"metrics": metrics, "status": "diverged"}

    table = figure(one, fill(tmp_path, one, measure))
    assert re.findall(r"--share: (\d+)%", table) == ["100", "100"]


def test_a_sweeps_series_joins_the_coordinates_that_it_names(tmp_path):
    places = [{"family": "plain CNN", "norm": "none", "depth": depth} for depth in (10, 20)]
    arms = tuple(
        Arm(f"arm {one['depth']}", (f"model.depth={one['depth']}",), at=one) for one in places
    )
    rules = (Part("a", "", difference("arm 10", "arm 20"), AtLeast(1.0)),)
    shown = Sweep(x="depth", x_label="layers", by=("family", "norm"))
    one = claim(figure=shown, arms=arms, rules=rules)
    svg = figure(one, fill(tmp_path, one, lambda job, noise: accuracy(0.5 + 0.01 * noise)))
    assert svg.count("<polyline") == 1 and "</svg>plain CNN, none</li>" in svg
    assert ">layers</p>" in svg


def test_curves_leave_out_what_was_not_finite(tmp_path):
    one = claim(figure=Curve("train_loss"), parts=1)
    steps = {"step": [10, 20, 30], "train_loss": [2.0, None, 1.0]}
    store = fill(tmp_path, one, lambda job, noise: {"metrics": accuracy(0.5), "curve": steps})
    svg = figure(one, store)
    assert svg.count('class="trace"') == 2 * 5 and "nan" not in svg
    assert "new ends at 1.00" in svg
    empty = claim(figure=Curve("val_loss"), parts=1)
    assert figure(empty, store) == ""


def test_strips_show_what_the_rules_read(tmp_path):
    def last_loss(record):
        return record.curve["train_loss"][-1]

    def gain(evidence):
        new, old = (evidence.compute(arm, "last loss", last_loss) for arm in ("new", "old"))
        return new - old

    rules = (
        Part("a", "", difference("new", "old", "test_loss"), AtLeast(1.0)),
        Part("b", "", Quantity("last loss", "nats", gain), AtLeast(1.0)),
    )
    one = claim(
        rules=rules, arms=(Arm("new", ("norm=frn",)), Arm("old"), Arm("unread", ("norm=none",)))
    )
    curve = {"step": [1], "train_loss": [2.5]}
    store = fill(
        tmp_path, one, lambda job, noise: {"metrics": better(0.1)(job, noise), "curve": curve}
    )
    (decided,) = verdicts([one], store)
    shown = {panel.name: panel for panel in panels(one, collect(one, decided, store))}
    assert set(shown) == {"test_loss", "last loss"}
    assert shown["test_loss"].read == {"new", "old"} and "unread" in shown["test_loss"].arms
    assert [point.value for point in shown["last loss"].arms["new"]] == [2.5] * 5


VALUES = {  # effects of three equal seeds, as the rule takes them, and the verdict of each
    AtLeast(1.0): {0.4: "refuted", 1.1: "supported"},
    Within(2.0): {-2.1: "refuted", 1.9: "supported", 2.1: "refuted"},
    Between(5.0, 10.0): {4.9: "refuted", 7.0: "supported", 11.0: "refuted"},
}


@pytest.mark.parametrize(
    ("rule", "effect", "verdict"),
    [(rule, *pair) for rule, pairs in VALUES.items() for pair in pairs.items()],
)
def test_an_effect_lies_in_the_zone_of_its_verdict(rule, effect, verdict):
    value = math.log(effect) if rule.log else effect
    values = np.full(3, value)
    assert rule.decide(values, "points").verdict == verdict
    inside = [zone.verdict for zone in rule.zones() if zone.low < effect < zone.high]
    assert inside == [verdict]


def test_zones_of_shares_trends_and_identities():
    inf = math.inf
    assert Rate(0.2).zones() == ((-inf, 0.2, "refuted"), (0.2, inf, "supported"))
    assert Rate(0.2, above=False).zones()[0] == (-inf, 0.2, "supported")
    assert Rises((1, 2), 3.0).zones() == ((-inf, 3.0, "refuted"), (3.0, inf, "supported"))
    assert Exact(1e-5).zones() == ()
