"""A verdict that was run again with fresh seeds: card, `normlab show` and VERDICTS.md say how it
came out."""

import json

from made_up import better, claim, fill

from normlab.claims.again import with_fresh_seeds
from normlab.claims.replications import Replication, add_replication
from normlab.claims.verdicts import verdict
from normlab.claims.version import version
from normlab.records.store import Store
from normlab.records.verdict import read_verdicts, to_json
from normlab.report.again import again_kind, again_marks
from normlab.report.build import built
from normlab.report.cards import build_card
from normlab.report.claim_text import claim_text
from normlab.report.verdict_table import verdict_page

ONE = claim(parts=1, first_seed=100)


def measured(gain):
    """As `better` does, with what a record says of when and where."""

    def measure(job, noise):
        versions = {"torch": "2.13.0", "processor": "AMD EPYC, AVX2"}
        when = {"started": "2026-12-01T10:00:00+00:00", "versions": versions}
        return {"metrics": better(gain)(job, noise), **when}

    return measure


def run_again(folder, gain, first_seed=100_000, of_version=""):
    """As `normlab replicate` leaves it; the row's own words are not what is shown."""
    row = Replication("made-up", of_version or version(ONE, "quick"), "quick", first_seed, "", "")
    fill(folder / "replications" / str(first_seed), with_fresh_seeds(ONE, row), measured(gain))
    add_replication(folder, row)


def shown(folder):
    """(verdict, card, what `normlab show` prints, VERDICTS.md)."""
    store = Store(folder)
    found = verdict(ONE, store)
    card = build_card(ONE, found, store)
    text = " ".join(line.strip() for line in claim_text(ONE, found, store.done()))
    return found, card, text, verdict_page([card])


def test_a_verdict_that_did_not_hold_says_so_wherever_it_is_shown(tmp_path):
    fill(tmp_path, ONE, measured(0.03))
    before = verdict(ONE, Store(tmp_path))
    run_again(tmp_path, -0.03)
    found, card, text, table = shown(tmp_path)
    assert (found.verdict, found.n, found.evidence) == ("supported", 5, before.evidence)
    said = "with fresh seeds from 100,000 on: refuted, \N{MINUS SIGN}3."
    end = "n = 5 (quick profile on AMD EPYC, AVX2, 1 thread, 2026-12-01). It did not hold."
    assert said in text and end in text
    assert "**supported** (did not hold with fresh seeds)" in table and f"- {said}" in table
    pages = built(tmp_path, claims=[ONE])
    page = pages[tmp_path / "report" / "claims" / "made-up.html"]
    assert f'<p class="again warn">Asked again {said}' in page and end in page
    first = pages[tmp_path / "report" / "index.html"]
    assert '<small class="warn">did not hold with fresh seeds</small>' in first
    assert '"again":"did not hold"' in first
    assert card.again_kind == again_kind(found) == "did not hold"


def test_a_verdict_that_held_says_where_by_how_many_and_when(tmp_path):
    fill(tmp_path, ONE, measured(0.03))
    run_again(tmp_path, 0.03)
    found, card, text, table = shown(tmp_path)
    (one,) = found.replications
    assert (one.machine, one.n, one.date) == ("AMD EPYC, AVX2, 1 thread", 5, "2026-12-01")
    assert "It held." in text and "**supported** (held with fresh seeds)" in table
    assert (
        'class="again"'
        in built(tmp_path, claims=[ONE])[tmp_path / "report" / "claims" / "made-up.html"]
    )
    assert card.marks == ["held with fresh seeds"]


def test_one_failure_of_several_is_not_hidden(tmp_path):
    fill(tmp_path, ONE, measured(0.03))
    for first_seed, gain in ((100_000, 0.03), (200_000, -0.03), (300_000, 0.01)):
        run_again(tmp_path, gain, first_seed)
    found = verdict(ONE, Store(tmp_path))
    assert [one.says_of(found.verdict) for one in found.replications] == [
        "held", "did not hold", "left open",
    ]  # fmt: skip
    assert again_marks(found) == ["did not hold with fresh seeds (1 of 3)"]


def test_it_is_built_from_the_records_and_no_row_is_believed(tmp_path):
    fill(tmp_path, ONE, measured(0.03))
    run_again(tmp_path, -0.03)
    rows = json.loads((tmp_path / "replications.json").read_text())
    rows[0] |= {"before": "supported", "now": "supported", "n": 500}
    (tmp_path / "replications.json").write_text(json.dumps(rows))
    assert again_kind(verdict(ONE, Store(tmp_path))) == "did not hold"


def test_a_replication_of_another_version_is_not_shown(tmp_path):
    fill(tmp_path, ONE, measured(0.03))
    run_again(tmp_path, -0.03, of_version="00000000")
    found, card, text, table = shown(tmp_path)
    assert found.replications == () and card.again == [] and "fresh seeds" not in text + table


def test_verdicts_are_kept_and_read_with_it_and_as_before_without(tmp_path):
    fill(tmp_path, ONE, measured(0.03))
    assert "replications" not in to_json([verdict(ONE, Store(tmp_path))])
    run_again(tmp_path, -0.03)
    found = verdict(ONE, Store(tmp_path))
    (tmp_path / "verdicts.json").write_text(to_json([found]))
    (row,) = json.loads((tmp_path / "verdicts.json").read_text())
    (kept,) = row["replications"]
    assert kept["verdict"] == "refuted" and kept["first_seed"] == 100_000 and "elsewhere" not in row
    assert read_verdicts(tmp_path) == {"made-up": found}
