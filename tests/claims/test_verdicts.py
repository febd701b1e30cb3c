"""Verdicts move with their records, and say what is missing or stale."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.design import Design
from normlab.claims.evidence import PartWithoutData
from normlab.claims.looks import Looks
from normlab.claims.quantity import Quantity, value
from normlab.claims.registry import load_claim
from normlab.claims.rules import AtLeast
from normlab.claims.run.execute import execute
from normlab.claims.trials import collect
from normlab.claims.verdicts import verdict, verdicts, write
from normlab.errors import NormLabError
from normlab.records.record import Record
from normlab.records.store import Store
from normlab.records.verdict import PartVerdict, read_verdicts, to_json


@pytest.fixture
def decided(toy, tmp_path):
    folder, results = toy(seeds=5), tmp_path / "results"
    claim = load_claim("toy", folder)
    with Store(results) as store:
        for job in Design(claim, claim.protocols["quick"]).progress({}).jobs:
            store.append("toy", execute(job, folder))
    return claim, results, lambda: verdict(claim, Store(results))


def rewrite(results: Path, change):
    path = results / "toy.jsonl"
    rows = [change(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row))


def test_supported_with_all_its_numbers(decided):
    _, _, decide = decided
    row = decide()
    assert row.verdict == "supported" and row.profile == "quick" and row.n == 5
    assert row.parts[0].effect == pytest.approx(2.0) and len(row.evidence) == 10
    assert row.missing == () and row.stale == () and "cpu" in row.device
    assert to_json([row]) == to_json([decide()])


def test_what_is_written_is_read_back_with_its_zones(decided):
    _, results, decide = decided
    row = decide()
    assert [zone.verdict for zone in row.parts[0].zones] == ["refuted", "supported"]
    write([row], results)
    assert read_verdicts(results) == {"toy": row}


def test_the_place_of_a_unit_is_kept_and_in_older_rows_follows_from_its_words(decided):
    _, results, decide = decided
    row = decide()
    exact = replace(row.parts[0], unit="largest error", unit_first=True)
    path = write([replace(row, parts=(exact,))], results)
    assert read_verdicts(results)["toy"].parts == (exact,)
    (older,) = json.loads(path.read_text())
    del older["parts"][0]["unit_first"]
    path.write_text(json.dumps([{**older, "schema": 2}]))
    assert read_verdicts(results)["toy"].parts == (exact,)


def test_verdicts_of_a_later_schema_are_refused(decided):
    _, results, decide = decided
    write([replace(decide(), schema=9)], results)
    with pytest.raises(NormLabError, match="a verdict of schema 9: this version"):
        read_verdicts(results)


def test_no_records_no_verdict(toy, tmp_path):
    row = verdict(load_claim("toy", toy()), Store(tmp_path / "nothing"))
    assert row.verdict == "no data" and row.n == 0
    assert "normlab run toy" in row.missing[0]


def test_a_part_without_data_leaves_the_claim_without_and_the_others_decided(decided):
    claim, results, _ = decided

    def read(evidence):
        raise PartWithoutData("not here")

    unmeasured = Part("elsewhere", "A > B", Quantity("A - B", "points", read), AtLeast(1.0))
    row = verdict(replace(claim, clauses=(*claim.parts, unmeasured)), Store(results))
    assert row.verdict == "no data" and row.n == 5
    assert [part.verdict for part in row.parts] == ["supported", "no data"]


def test_two_seeds_fewer_is_inconclusive_and_says_so(decided):
    _, results, decide = decided
    rewrite(results, lambda row: None if row["arm"] == "A" and row["seed"] in (3, 4) else row)
    row = decide()
    assert row.verdict == "inconclusive" and row.n == 3
    assert row.missing == ("A: 2 of 5 seeds still to run",)
    assert row.parts[0].text.startswith("3 of 5 seeds in every arm: 2 points")


def test_an_altered_metric_moves_the_verdict(decided):
    _, results, decide = decided

    def lower(row):
        if row["arm"] == "A":
            row["metrics"]["score"] -= 4.0
        return row

    rewrite(results, lower)
    assert decide().verdict == "refuted"


def test_changed_code_is_named(decided):
    _, results, decide = decided
    sources = json.loads((results / "sources.json").read_text())
    (now,) = sources["sources"].values()
    sources["sources"]["0123456789ab"] = {**now, "norms/batch.py": "00000000"}
    (results / "sources.json").write_text(json.dumps(sources))

    def older(row):
        row["code"]["source"] = "0123456789ab"
        return row

    rewrite(results, older)
    row = decide()
    assert row.stale == ("code changed since: norms/batch.py",)
    assert row.verdict == "supported"


def test_changed_data_is_named(decided):
    _, results, decide = decided

    def other(row):
        row["data"]["fingerprint"] = "other" if row["seed"] == 4 else "one"
        return row

    rewrite(results, other)
    assert decide().stale == ("the data changed between trials",)


def test_devices_are_not_mixed(decided):
    _, results, decide = decided

    def move(row):
        if row["seed"] > 2:
            row["device"] = "another machine"
        return row

    rewrite(results, move)
    row = decide()
    assert row.n == 3 and row.verdict == "inconclusive" and row.device != "another machine"


def test_diverged_trials_are_counted_and_no_part_of_a_mean(decided):
    _, results, decide = decided

    def diverge(row):
        if row["arm"] == "A" and row["seed"] == 0:
            row["status"], row["metrics"]["score"] = "diverged", -20.0
        return row

    rewrite(results, diverge)
    row = decide()
    assert row.n == 5 and row.verdict == "supported" and row.parts[0].n == 4
    assert row.parts[0].text.endswith("1 of 5 seeds of A do not train")


def test_a_rate_that_failed_is_the_worst_and_hides_no_evidence(tmp_path):
    """As for the run, which counts the failure and goes on."""
    protocol = Protocol(("data=digits",), {}, Looks((3,)), (0.01, 0.1, 1.0), extend=False)
    part = Part("high", "accuracy is high", value("a"), AtLeast(1.0))
    claim = Claim(
        "tuned", "s", ("d",), "s", "p", (part,), Answers("yes", "no"),
        arms=(Arm("a", ("norm=none",)),), protocols={"quick": protocol},
    )  # fmt: skip
    design, store = Design(claim, protocol), Store(tmp_path)
    with store:
        for seed in (100, 101, 102):
            for rate in protocol.learning_rates:
                job, failed = design.job(claim.arms[0], rate, seed), rate == 1.0
                metrics = {} if failed else {"val_accuracy": 1 - rate, "test_accuracy": 0.9}
                store.append("tuned", trial(job, "failed" if failed else "ok", **metrics))
    row = verdict(claim, store)
    assert row.n == 3 and row.learning_rates == {"a": (0.01, 0.01, 0.01)}
    assert len(collect(claim, row, store).all()) == 3


def trial(job, status="ok", **metrics):
    return Record(
        job.key, {}, stage="evaluate", seed=job.seed, status=status, metrics=metrics, device="cpu"
    )


def test_a_broken_rule_of_one_claim_stops_no_other(decided):
    claim, results, _ = decided

    def broken(evidence):
        raise ZeroDivisionError("by 0")

    part = replace(claim.parts[0], quantity=Quantity("A - B", "points", broken))
    both = verdicts([replace(claim, clauses=(part, *claim.parts)), claim], Store(results))
    assert [one.verdict for one in both] == ["no data", "supported"]
    assert re.match(
        r"its rule cannot be computed: ZeroDivisionError: by 0 \(test_verdicts\.py, line \d+\)",
        both[0].parts[0].text,
    )


def test_a_stronger_profile_decides_from_its_first_look_on(decided):
    claim, results, _ = decided
    quick = claim.protocols["quick"]
    both = replace(
        claim, protocols={"quick": quick, "full": replace(quick, looks=Looks((8, 12, 20)))}
    )
    assert verdict(both, Store(results)).profile == "quick"
    few = replace(claim, protocols={"full": replace(quick, looks=Looks((8, 12, 20)))})
    row = verdict(few, Store(results))
    assert (row.profile, row.verdict, row.n) == ("full", "inconclusive", 5)
    enough = {"quick": quick, "full": replace(quick, looks=Looks((5, 8)))}
    assert verdict(replace(claim, protocols=enough), Store(results)).profile == "full"


def test_what_is_open_shows_no_sentence_with_gaps():
    found = Answers("Better by {gain.effect:.1f}.", "No.", inconclusive="At {gain.effect:.1f}.")
    open_ = PartVerdict("gain", "better", "above 1", "nothing yet", "inconclusive")
    known = replace(open_, effect=1.0)
    assert found.answer("inconclusive", {"gain": known}) == "At 1.0."
    assert found.answer("inconclusive", {"gain": open_}).startswith("Not decided yet")
    assert found.answer("supported", {"gain": open_}) == "Better by ?."
