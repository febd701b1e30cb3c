"""Runs of a sweep beside one another: what groups them, their statistics, and what is written."""

import csv
import io
import re

import numpy as np
import pytest

from normlab.claims.stats import t_interval
from normlab.errors import NormLabError
from normlab.records.record import Record
from normlab.report.comparison.compare import compare
from normlab.report.comparison.figure import picture
from normlab.report.comparison.runs import read_runs
from normlab.report.comparison.settings import settings_of, varied
from normlab.report.comparison.tables import csv_text, markdown, notes, rows
from normlab.report.comparison.wandb_run import log_comparison

# Accuracies by norm and seed: groupnorm is better by 2, 4 and 6 points, seed for seed.
BATCH, GROUP = (0.50, 0.60, 0.70), (0.52, 0.64, 0.76)


def run(norm, seed, accuracy=0.5, lr=0.1, status="ok", **more):
    options = {"num_groups": 4} if norm == "groupnorm" else {"momentum": 0.1, "ghost_batch": None}
    config = {
        "norm": {"kind": norm, **options, **more},
        "model": {"name": "mlp", "depth": 2},
        "optim": {"name": "sgd", "lr": lr, "nesterov": True},
        "trainer": {"threads": 1 + seed},
        "seed": seed,
    }
    metrics = {"test_accuracy": accuracy, "test_loss": None, "trivial_loss": 2.0}
    name = f"{norm}-{seed}-{lr}-{more}"
    return Record(name, config, seed=seed, status=status, metrics=metrics, duration_s=2.0)


def sweep():
    pairs = enumerate(zip(BATCH, GROUP, strict=True))
    return [
        record
        for seed, (batch, group) in pairs
        for record in (run("batchnorm", seed, batch), run("groupnorm", seed, group))
    ]


def test_settings_differ_by_choice_and_within_one():
    settings = [settings_of(record) for record in sweep()]
    # Not threads, which change no result, nor what only one of the norms has.
    assert varied(settings) == ["norm"]
    settings.append(settings_of(run("groupnorm", 0, num_groups=8)))
    assert varied(settings) == ["norm", "norm.num_groups"]
    assert varied(settings[:1]) == []


def test_means_intervals_and_paired_differences_are_those_of_the_claims():
    comparison = compare(sweep(), against=["norm=batchnorm"])
    best, other = comparison.groups
    assert (best.name, other.name, other.baseline) == ("groupnorm", "batchnorm", True)
    mean, low, high = map(float, t_interval(100 * np.array(GROUP)))
    kept = best.values["test_accuracy"]
    assert (kept.n, kept.mean, kept.low, kept.high) == pytest.approx((3, mean, low, high))
    mean, low, high = map(float, t_interval(100 * (np.array(GROUP) - np.array(BATCH))))
    paired = best.differences["test_accuracy"]
    assert (paired.n, paired.mean, paired.low, paired.high) == pytest.approx((3, 4, low, high))
    # A loss that is not finite counts as that of a network that ignores its input.
    assert best.values["test_loss"].mean == 2.0 and best.differences["test_loss"].mean == 0.0


def test_what_diverged_counts_and_what_failed_is_told():
    records = [*sweep(), run("batchnorm", 3, 0.1, status="diverged")]
    records.append(run("groupnorm", 3, status="failed"))
    best, other = compare(records).groups
    assert (best.name, len(best.runs), best.failed) == ("groupnorm", 3, 1)
    assert (len(other.runs), other.diverged) == (4, 1)
    assert other.values["test_accuracy"].mean == pytest.approx(47.5)
    assert rows(compare(records))[1][:4] == ["batchnorm", "4", "1", "0"]


def test_of_several_baselines_each_group_has_its_own():
    records = [run(*args, lr=lr) for lr in (0.1, 0.3) for args in (("batchnorm", 0, lr),)]
    records += [run("groupnorm", 0, 2 * lr, lr=lr) for lr in (0.1, 0.3)]
    comparison = compare(records, against=["norm=batchnorm"])
    differences = {group.name: group.differences["test_accuracy"] for group in comparison.groups}
    assert differences["groupnorm, optim.lr=0.3"].mean == pytest.approx(30)
    assert differences["groupnorm, optim.lr=0.1"].mean == pytest.approx(10)
    one = compare(records, against=["norm=batchnorm", "optim.lr=0.1"])
    assert one.groups[0].differences["test_accuracy"].mean == pytest.approx(50)
    # By norm alone, runs of both rates are pooled and paired by rate, which is said.
    pooled = compare(records, by=["norm"], against=["norm=batchnorm"])
    assert pooled.groups[0].differences["test_accuracy"].mean == pytest.approx(20)
    assert "optim.lr" in notes(pooled)[-1]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"by": ["nrom"]}, "unknown setting 'nrom': choose one of norm"),
        ({"against": ["norm"]}, "give SETTING=VALUE"),
        ({"against": ["norm=frn"]}, "choose one of batchnorm, groupnorm"),
        ({"against": ["data=digits"]}, "choose one of norm"),
        ({"metrics": ["accuracy"]}, "choose one of test_accuracy"),
    ],
)
def test_what_is_not_there_is_refused(asked, words):
    with pytest.raises(NormLabError, match=words):
        compare(sweep(), **asked)


def test_a_baseline_must_be_one():
    records = [*sweep(), run("batchnorm", 0, ghost_batch=2)]
    with pytest.raises(NormLabError, match="fits 2 groups"):
        compare(records, against=["norm=batchnorm"])


def test_each_trial_counts_once_and_a_finished_one_before_a_failed(tmp_path):
    for name, status, started in (("a", "ok", "1"), ("b", "failed", "2"), ("a/wandb", "ok", "1")):
        record = run("batchnorm", 0, status=status)
        record.started = started
        (tmp_path / name).mkdir()
        record.write(tmp_path / name / "record.json")
    (record,) = read_runs([tmp_path])
    assert record.status == "ok"
    with pytest.raises(NormLabError, match=r"no record\.json in it or below"):
        read_runs([tmp_path / "none"])


def test_files_hold_the_same_numbers():
    comparison = compare(sweep(), against=["norm=batchnorm"])
    first, second = csv.DictReader(io.StringIO(csv_text(comparison)))
    assert float(first["test_accuracy"]) == pytest.approx(64)
    assert float(first["test_accuracy_difference"]) == pytest.approx(4)
    assert second["test_accuracy_difference"] == "" and second["n"] == "3"
    table = markdown(comparison)
    assert re.search(r"\| batchnorm \| 3 \| 0 \| 60.*\| baseline \|", table)
    drawn = picture(comparison)
    assert drawn == picture(comparison) and drawn.count(b"groupnorm") >= 1
    assert picture(comparison, "png").startswith(b"\x89PNG")


def test_a_single_run_has_no_interval():
    comparison = compare([run("batchnorm", 0)])
    assert rows(comparison) == [["all", "1", "0", "50.00", "2.000", "2.0"]]
    assert notes(comparison) == []


def test_wandb_has_it_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = log_comparison(compare(sweep(), against=["norm=batchnorm"]), tmp_path, group="sweep-1")
    assert folder.parent == tmp_path / "wandb" and list(folder.glob("*.wandb"))
    (media,) = (folder / "files" / "media" / "images").iterdir()
    assert media.suffix == ".png"
