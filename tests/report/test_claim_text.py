"""`normlab show`: a claim in a terminal, its answer first, at 80 characters a line."""

import math

import pytest
from made_up import better, claim, fill

from normlab.claims.registry import load_all
from normlab.claims.verdicts import verdict
from normlab.records.places import RESULTS
from normlab.records.store import Store
from normlab.records.verdict import Earlier, PartVerdict, Zone
from normlab.report.claim_text import WIDTH, claim_text
from normlab.report.text_strip import text_strip

INF = math.inf
AT_LEAST_1 = (Zone(-INF, 1.0, "refuted"), Zone(1.0, INF, "supported"))
WITHIN_1 = (
    Zone(-INF, -1.0, "refuted"),
    Zone(-1.0, 1.0, "supported"),
    Zone(1.0, INF, "refuted"),
)


def part(effect, low, high, zones=AT_LEAST_1, **more):
    return PartVerdict("gain", "", "", "", "open", effect, low, high, zones=zones, **more)


def lines(one, store):
    return list(claim_text(one, verdict(one, store), store.done()))


def test_a_strip_is_one_line_with_zones_edge_interval_and_estimate():
    strip = text_strip(part(3.0, 2.0, 4.0), 72)
    assert len(strip) == 72 and "\n" not in strip
    places = [strip.index(sign) for sign in ("│", "┣", "●", "┫")]
    assert places == sorted(places)
    assert strip.startswith("−0.64 ·") and strip.endswith("· 4.6")
    assert " refuted " not in strip[: strip.index("│") - 20] and "supported" not in strip[:10]


def test_an_edge_inside_the_interval_is_seen():
    strip = text_strip(part(1.0, 0.5, 1.5))
    assert "│" not in strip and strip.count("┿") + strip.count("●") == 1
    both = text_strip(part(0.2, -1.5, 2.0, WITHIN_1))
    assert both.count("┿") == 2 and both.count("●") == 1


def test_an_exact_effect_without_interval_has_no_strip():
    assert text_strip(part(1e-7, None, None, ())) == ""
    assert text_strip(part(None, None, None)) == ""


def test_a_ratio_lies_on_a_scale_of_logarithms():
    ratio = (Zone(0.0, 0.5, "refuted"), Zone(0.5, INF, "supported"))
    strip = text_strip(part(2.0, 1.0, 4.0, ratio, log=True))
    low, middle, high = (strip.index(sign) for sign in ("┣", "●", "┫"))
    assert abs((high - middle) - (middle - low)) <= 1


@pytest.mark.parametrize("interval", [(0.9, 0.9, 0.9), (1.0, -INF, INF), (-40.0, -41.0, -39.0)])
def test_no_interval_leaves_the_line(interval):
    assert len(text_strip(part(*interval), 60)) == 60


def test_a_decided_claim_answers_first(tmp_path):
    one = claim()
    found = lines(one, fill(tmp_path, one, better(0.03)))
    assert found[2] == "SUPPORTED: New is better."
    text = "\n".join(found)
    heads = ("Decided by", "Who says so", "Cost of what is left", "Run it again from nothing")
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert "  gain [supported]: new beats old by a point" in found
    assert sum("●" in line for line in found) == 2  # one for each part
    assert "quick: nothing left to run" in text
    assert "  normlab run made-up --profile quick --results again" in text
    assert "python train.py" not in text


def test_an_undecided_claim_says_what_it_still_needs(tmp_path):
    one = claim(parts=1)
    store = fill(tmp_path, one, better(0.03), leave_out=lambda job: job.seed > 2)
    text = "\n".join(lines(one, store))
    assert "INCONCLUSIVE: " in text and "missing: " in text
    assert "quick: 4 trials, 18 seconds of one core" in text


def test_a_claim_that_has_begun_says_what_is_missing_and_not_that_nothing_is_there(tmp_path):
    """Its arms have no seed in common, so that there is no verdict yet."""
    one = claim()
    store = fill(tmp_path, one, better(0.03), leave_out=lambda job: job.arm == "old")
    text = "\n".join(lines(one, store))
    assert "NO DATA: not decided yet." in text and "missing: old: 5 of 5 seeds still to run" in text
    assert "no trial is recorded" not in text


def test_a_claim_without_data_has_its_rule_cost_and_command(tmp_path):
    text = "\n".join(lines(claim(), Store(tmp_path)))
    assert "NO DATA: not decided yet" in text and "rule: " in text and "●" not in text
    assert "quick: 10 trials, 10 seconds of one core" in text
    assert text.count("normlab run made-up") == 1 and "again" not in text


def test_versions_before_are_listed(tmp_path):
    from dataclasses import replace

    store = Store(tmp_path)
    before = (Earlier("first generation", "refuted", "−2.00 points, n = 5"),)
    decided = replace(verdict(claim(), store), history=before)
    text = "\n".join(claim_text(claim(), decided, {}))
    assert "Before\n  first generation: refuted, −2.00 points, n = 5" in text


def test_every_claim_of_this_project_fits_80_columns():
    store, claims = Store(RESULTS), load_all()
    known = store.done()
    for one in claims[:: max(1, len(claims) // 8)]:
        for line in claim_text(one, verdict(one, store), known):
            assert len(line) <= WIDTH or "normlab run" in line, line
