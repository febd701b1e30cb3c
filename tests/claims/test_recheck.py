"""Records of older code run again, or stand once a trial of each way has given the same bits."""

import json

import pytest

from normlab.claims.registry import load_claim
from normlab.claims.run.engines import build_engine
from normlab.claims.run.execute import execute
from normlab.claims.run.recheck import recheck
from normlab.claims.run.runner import run_claims
from normlab.claims.verdicts import verdict
from normlab.config.compose import compose, to_dict
from normlab.norms import kernels
from normlab.records.provenance import way_of
from normlab.records.store import Store
from normlab.records.tree import here

BEFORE = "0123456789ab"


def made_by_other_code(results, file):
    """Change the records as if they had been made by code in which `file` was another."""
    known = json.loads((results / "sources.json").read_text())
    ((now, hashes),) = known["sources"].items()
    known["sources"] = {BEFORE: {**hashes, file: "00000000"}}
    (results / "sources.json").write_text(json.dumps(known))
    lines = (results / "toy.jsonl").read_text()
    (results / "toy.jsonl").write_text(lines.replace(now, BEFORE))


@pytest.mark.parametrize(("file", "again"), [("norms/batch.py", True), ("data/images.py", False)])
def test_renew_runs_again_what_older_code_has_recorded(toy, tmp_path, file, again):
    """A claim's own trial may call any norm; it does not read the package's images."""
    folder, results = toy(seeds=3), tmp_path / "results"
    claim = load_claim("toy", folder)

    def run(renew):
        return run_claims(
            [claim], "cpu", Store(results), build_engine("local", 1, folder), renew=renew
        ).done

    assert run(False) == 6
    made_by_other_code(results, file)
    assert run(False) == 0
    assert run(True) == (6 if again else 0)
    assert run(True) == 0
    assert len((results / "toy.jsonl").read_text().splitlines()) == (12 if again else 6)


@pytest.fixture
def older(toy, tmp_path):
    """(claim, results, folder) of a toy whose records were made by another norms/batch.py."""
    folder, results = toy(seeds=3), tmp_path / "results"
    claim = load_claim("toy", folder)
    run_claims([claim], "cpu", Store(results), build_engine("local", 1, folder))
    made_by_other_code(results, "norms/batch.py")
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)
    return claim, results, folder


def test_records_stand_when_a_trial_of_each_way_gives_the_same_bits(older):
    claim, results, folder = older
    rows = recheck([claim], Store(results), build_engine("local", 1, folder))
    assert len(rows) == 1 and rows[0]["same"]  # A and B differ by a number only
    assert verdict(claim, Store(results)).stale == ()
    assert recheck([claim], Store(results), build_engine("local", 1, folder)) == []
    assert (
        len((results / "toy.jsonl").read_text().splitlines()) == 6
    )  # no record is added or changed


def test_bits_of_other_kernels_are_not_compared(older):
    """Records name what norms on the CPU ran by; those in C give the same bits everywhere."""
    claim, results, folder = older
    lines = (results / "toy.jsonl").read_text()
    assert f'"kernel": "{kernels.name()}"' in lines
    other = "torch" if kernels.name() != "torch" else "c-avx2"
    named = f'"kernel": "{kernels.name()}"', f'"kernel": "{other}"'
    (results / "toy.jsonl").write_text(lines.replace(*named))
    assert recheck([claim], Store(results), build_engine("local", 1, folder)) == []
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)


def test_records_stay_stale_when_a_trial_gives_something_else(older):
    claim, results, folder = older
    lines = (results / "toy.jsonl").read_text()
    other = lines.replace('"score": 3.0', '"score": 3.0000001').replace(": 1.0", ": 1.001")
    (results / "toy.jsonl").write_text(other)
    (row,) = recheck([claim], Store(results), build_engine("local", 1, folder))
    assert not row["same"] and row["differs"].startswith("metrics.score: ")
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)


def test_a_recheck_says_nothing_of_files_that_changed_after_it(older):
    claim, results, folder = older
    (row,) = recheck([claim], Store(results), build_engine("local", 1, folder))
    known = json.loads((results / "sources.json").read_text())
    row["now"] = "after"
    (results / "rechecks.json").write_text(json.dumps([row]))
    known["sources"]["after"] = {**here().hashes, "norms/rms.py": "00000000"}
    (results / "sources.json").write_text(json.dumps(known))
    assert verdict(claim, Store(results)).stale == ("code changed since: norms/batch.py",)


@pytest.fixture
def two_ways(toy, tmp_path, monkeypatch):
    """Like `older`, with two ways through the code: rechecks it, killed after so many trials."""
    folder, results = toy('arm("A", 3.0), arm("B", 1.0, "other")', seeds=2), tmp_path / "results"
    claim = load_claim("toy", folder)
    run_claims([claim], "cpu", Store(results), build_engine("local", 1, folder))
    made_by_other_code(results, "norms/batch.py")

    def recheck_until_killed(count):
        def run_all(engine, jobs):
            for job in jobs[:count]:
                yield job, execute(job, folder)
            if len(jobs) > count:
                raise KeyboardInterrupt

        monkeypatch.setattr("normlab.claims.run.recheck.run_all", run_all)
        return recheck([claim], Store(results), build_engine("local", 1, folder))

    return claim, results, recheck_until_killed


def test_a_killed_recheck_goes_on_where_it_was(two_ways, capsys):
    claim, results, recheck_until_killed = two_ways
    with pytest.raises(KeyboardInterrupt):
        recheck_until_killed(1)
    assert verdict(claim, Store(results)).stale != ()
    assert len(recheck_until_killed(2)) == 1
    assert verdict(claim, Store(results)).stale == ()
    assert "1 of 2, " in capsys.readouterr().err


def test_what_differed_is_not_run_again_by_the_same_code(two_ways):
    _, results, recheck_until_killed = two_ways
    lines = (results / "toy.jsonl").read_text()
    (results / "toy.jsonl").write_text(lines.replace('"score": 3.0', '"score": 4.0'))
    rows = recheck_until_killed(2)
    assert [row["same"] for row in rows] == [False, True]
    assert recheck_until_killed(2) == []


def test_ways_are_the_same_for_other_numbers_and_differ_by_choices():
    def way(*overrides):
        return way_of(to_dict(compose(list(overrides))))

    assert way("seed=1", "optim.lr=0.3", "norm=batchnorm", "norm.ghost_batch=2") == way(
        "norm=batchnorm", "norm.ghost_batch=8"
    )
    ways = {
        way("norm=batchnorm"),
        way("norm=batchnorm", "norm.ghost_batch=2"),
        way("norm=batchnorm", "data=cifar10"),
    }
    assert len(ways | {way("norm=frn"), way("norm=batchnorm", "evaluations=[precise]")}) == 5
