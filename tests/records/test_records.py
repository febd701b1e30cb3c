"""Keys name what is computed, and records survive whatever is in them."""

import copy
import json
import math

import pytest

from normlab.config.schema import compose, to_dict
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
