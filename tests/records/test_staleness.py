"""Which files a trial runs through, and what a change of them makes stale."""

import json

import pytest

from normlab.claims.registry import load_claim
from normlab.claims.run.engines import build_engine
from normlab.claims.run.recheck import recheck
from normlab.claims.run.runner import run_claims
from normlab.claims.verdicts import verdict
from normlab.config.schema import compose, to_dict
from normlab.records.provenance import files_of, way_of
from normlab.records.record import code_state, source_hashes
from normlab.records.store import Store


def used(*overrides):
    return files_of(to_dict(compose(list(overrides))), source_hashes())


def test_every_file_that_is_hashed_counts_for_some_trial():
    trials = [
        used("model=resnet", "norm=groupnorm", "evaluations=[precise,adaptation,train_mode]"),
        used("model=plaincnn", "norm=batchnorm", "norm.ghost_batch=2", "reparam=weightnorm"),
        used("model=transformer", "norm=rmsnorm"),
        used("model=mlp", "norm=frn"),
    ]
    assert {
        "norms/ghost.py",
        "training/step.py",
        "models/layers.py",
        "reparam.py",
        "data/images.py",
    } <= trials[1]
    assert {"data/text.py", "models/transformer.py", "norms/rms.py", "norms/layer.py"} <= trials[2]
    assert "training/shift.py" in trials[0] and "training/shift.py" not in trials[1]


def test_a_trial_does_not_depend_on_other_models_norms_and_data():
    assert not {"models/transformer.py", "models/mlp.py", "norms/group.py", "data/text.py"} & used(
        "norm=batchnorm"
    )
    assert not {"models/plaincnn.py", "data/images.py", "norms/batch.py"} & used(
        "model=transformer", "norm=layernorm"
    )


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
    sources = json.loads((results / "sources.json").read_text())
    (now,) = sources
    sources["0123456789ab"] = {**sources[now], file: "00000000"}
    (results / "sources.json").write_text(json.dumps(sources))
    lines = (results / "toy.jsonl").read_text()
    (results / "toy.jsonl").write_text(lines.replace(now, "0123456789ab"))
    assert run(False) == 0
    assert run(True) == (6 if again else 0)
    assert run(True) == 0
    assert len((results / "toy.jsonl").read_text().splitlines()) == (12 if again else 6)


@pytest.fixture
def older(toy, tmp_path):
    """A toy claim whose records were made by code with another norms/batch.py; (claim, results, folder)."""
    folder, results = toy(seeds=3), tmp_path / "results"
    claim = load_claim("toy", folder)
    run_claims([claim], "cpu", Store(results), build_engine("local", 1, folder))
    sources = json.loads((results / "sources.json").read_text())
    (now,) = sources
    (results / "sources.json").write_text(
        json.dumps({"0123456789ab": {**sources[now], "norms/batch.py": "00000000"}})
    )
    lines = (results / "toy.jsonl").read_text()
    (results / "toy.jsonl").write_text(lines.replace(now, "0123456789ab"))
    assert verdict(claim, Store(results))["stale"] == ["code changed since: norms/batch.py"]
    return claim, results, folder


def test_records_stand_when_a_trial_of_each_way_gives_the_same_bits(older):
    claim, results, folder = older
    rows = recheck([claim], Store(results), build_engine("local", 1, folder))
    assert len(rows) == 1 and rows[0]["same"]  # A and B differ by a number only
    assert verdict(claim, Store(results))["stale"] == []
    assert recheck([claim], Store(results), build_engine("local", 1, folder)) == []
    assert (
        len((results / "toy.jsonl").read_text().splitlines()) == 6
    )  # no record is added or changed


def test_records_stay_stale_when_a_trial_gives_something_else(older):
    claim, results, folder = older
    lines = (results / "toy.jsonl").read_text()
    (results / "toy.jsonl").write_text(
        lines.replace('"score": 3.0', '"score": 3.0000001').replace("1.0}", "1.00001}")
    )
    (row,) = recheck([claim], Store(results), build_engine("local", 1, folder))
    assert not row["same"] and row["differs"].startswith("metrics.score: ")
    assert verdict(claim, Store(results))["stale"] == ["code changed since: norms/batch.py"]


def test_a_recheck_says_nothing_of_files_that_changed_after_it(older):
    claim, results, folder = older
    (row,) = recheck([claim], Store(results), build_engine("local", 1, folder))
    sources = json.loads((results / "sources.json").read_text())
    row["now"] = "after"
    (results / "rechecks.json").write_text(json.dumps([row]))
    (results / "sources.json").write_text(
        json.dumps(
            {**sources, "after": {**sources[code_state()["source"]], "norms/rms.py": "00000000"}}
        )
    )
    assert verdict(claim, Store(results))["stale"] == ["code changed since: norms/batch.py"]


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
