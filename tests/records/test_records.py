"""Keys name what is computed, and records survive whatever is in them."""

import copy
import json
import math
from dataclasses import replace

import pytest

from normlab.config.compose import compose, to_dict
from normlab.errors import NormLabError
from normlab.records.compare import difference
from normlab.records.lines import BENCHMARKS, ZOO
from normlab.records.places import RESULTS
from normlab.records.record import Record, trial_key


@pytest.fixture(scope="module")
def config():
    return to_dict(compose(["norm=groupnorm"]))


def changed(config, path, value):
    config = copy.deepcopy(config)
    *groups, last = path.split(".")
    node = config
    for group in groups:
        node = node[group]
    node[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [("seed", 1), ("norm.eps", 1e-3), ("optim.lr", 0.1), ("data.batch_size", 2),
     ("trainer.precision", "bf16"), ("trainer.accelerator", "gpu"), ("model.depth", 6),
     ("data.subset", 100), ("allow_noncausal", True)],
)  # fmt: skip
def test_key_changes_with_what_is_computed(config, path, value):
    assert trial_key(changed(config, path, value)) != trial_key(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [("logger.csv", False), ("logger.wandb", {"project": "x"}), ("claim", "bn-batch-below-16"),
     ("arm", "bn"), ("trainer.progress", True), ("trainer.threads", 2), ("trainer.chunk_steps", 7),
     ("trainer.resume", "a.ckpt"), ("probes", ["gradient_norm"])],
)  # fmt: skip
def test_key_ignores_where_it_runs_and_what_it_leaves(config, path, value):
    assert trial_key(changed(config, path, value)) == trial_key(config)


def test_key_ignores_order_and_knobs_added_later(config):
    reordered = dict(reversed([(group, value) for group, value in config.items()]))
    assert trial_key(reordered) == trial_key(config)
    later = copy.deepcopy(config)
    later["model"] |= {"placement": None, "qk_norm": False}
    assert trial_key(later) == trial_key(config)


def test_record_round_trip_and_strict_json(tmp_path):
    record = Record(
        "k",
        {"a": 1},
        metrics={"loss": math.nan, "accuracy": 0.5},
        curve={"train_loss": [1.0, math.inf]},
    )
    path = tmp_path / "record.json"
    record.write(path)
    plain = json.loads(
        path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )
    assert plain["metrics"] == {"loss": None, "accuracy": 0.5}
    assert plain["curve"]["train_loss"] == [1.0, None]
    assert Record.read(path).metrics["accuracy"] == 0.5
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize("content", ["", "{", '{"key": "k"', '{"unknown": 1}', "[]"])
def test_damaged_record_counts_as_none(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_text(content)
    assert Record.read(path) is None
    assert Record.read(tmp_path / "absent.json") is None


def test_records_say_their_schema_and_older_ones_are_version_1():
    line = Record("k", {}).to_json()
    assert json.loads(line)["schema"] == 2 and Record.from_json(line).schema == 2
    older = {name: value for name, value in json.loads(line).items() if name != "schema"}
    assert Record.from_json(json.dumps(older)).schema == 1
    with pytest.raises(NormLabError, match="of schema 3: this version of normlab reads up to 2"):
        Record.from_json(json.dumps({**older, "schema": 3}))


def test_every_recorded_line_is_read_without_loss():
    """But for the schema, which is version 1's where a line has none."""
    paths = [path for path in RESULTS.rglob("*.jsonl") if path.name not in (BENCHMARKS, ZOO)]
    assert len(paths) > 70
    for path in paths:
        for line in path.read_text().splitlines():
            fields = json.loads(line)
            assert json.loads(Record.from_json(line).to_json()) == {"schema": 1, **fields}


def test_what_differs_between_two_records_is_said():
    one = Record("k", {}, status="ok", metrics={"loss": math.nan, "samples_per_s": 7.0})
    one.curve = {"step": [1, 2]}
    assert difference(one, one) == ""
    assert difference(one, replace(one, metrics={"loss": None, "samples_per_s": 8.0})) == ""
    assert (
        difference(one, replace(one, status="failed", message="why")) == "status ok, now failed why"
    )
    assert difference(one, replace(one, metrics={"loss": 1.0})) == "metrics.loss: None, now 1.0"
    zero, minus = (replace(one, metrics={"mean": mean}) for mean in (0.0, -0.0))
    assert difference(zero, minus) == "metrics.mean: 0.0, now -0.0"
    assert difference(zero, replace(one, metrics={"mean": 0})) == ""
    zeros, minuses = (replace(one, curve={"step": [1, mean]}) for mean in (0.0, -0.0))
    assert difference(zeros, minuses) == "curve.step: [1, 0.0], now [1, -0.0]"
    assert difference(one, replace(one, curve={})) == "curve.step: [1, 2], now None"
