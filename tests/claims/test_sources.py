"""Which files a trial runs through, and what a change of them makes stale."""

import json

import pytest

from normlab.claims.engines import build_engine
from normlab.claims.registry import load_claim
from normlab.claims.runner import run_claims
from normlab.claims.sources import files_of
from normlab.claims.store import Store
from normlab.config import compose, to_dict
from normlab.records import source_hashes


def used(*overrides):
    return files_of(to_dict(compose(list(overrides))), source_hashes())


def test_every_file_that_is_hashed_counts_for_some_trial():
    trials = [
        used("model=resnet", "norm=groupnorm", "evaluations=[precise,adaptation,train_mode]"),
        used("model=plaincnn", "norm=batchnorm", "norm.ghost_batch=2", "reparam=weightnorm"),
        used("model=transformer", "norm=rmsnorm"),
        used("model=mlp", "norm=frn"),
    ]
    assert {"norms/ghost.py", "training/step.py", "models/layers.py", "reparam.py", "data/images.py"} <= trials[1]
    assert {"data/text.py", "models/transformer.py", "norms/rms.py", "norms/layer.py"} <= trials[2]
    assert "training/shift.py" in trials[0] and "training/shift.py" not in trials[1]


def test_a_trial_does_not_depend_on_other_models_norms_and_data():
    assert not {"models/transformer.py", "models/mlp.py", "norms/group.py", "data/text.py"} & used("norm=batchnorm")
    assert not {"models/plaincnn.py", "data/images.py", "norms/batch.py"} & used("model=transformer", "norm=layernorm")


@pytest.mark.parametrize(("file", "again"), [("norms/batch.py", True), ("data/images.py", False)])
def test_renew_runs_again_what_older_code_has_recorded(toy, tmp_path, file, again):
    """A claim's own trial may call any norm; it does not read the package's images."""
    folder, results = toy(seeds=3), tmp_path / "results"
    claim = load_claim("toy", folder)

    def run(renew):
        return run_claims([claim], "cpu", Store(results), build_engine("local", 1, folder), renew=renew).done

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
