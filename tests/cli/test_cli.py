"""Every public command, run as a user runs it."""

import json
import subprocess
import sys

import pytest

from normlab.claims.run.benchmarks import run_benchmark
from normlab.cli.verdict import _print_table
from normlab.measure.timing import data_path, train_loop
from normlab.records.verdict import NO_DATA, PartVerdict, Verdict


def test_help_names_the_commands_and_imports_nothing_heavy(normlab):
    done = normlab("--help")
    assert done.returncode == 0 and "bench" in done.stdout
    heavy = (
        "import sys, normlab.cli, normlab.train.launch; print({'torch', 'lightning', 'wandb'} "
        "& set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout.strip()
        == "set()"
    )


def test_unknown_benchmark_is_refused_with_the_choices(normlab):
    done = normlab("bench", "speed")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    for name in ("data-path", "train-loop", "startup", "norms"):
        assert name in done.stderr


def test_bench_prints_its_ratio(normlab):
    done = normlab("bench", "startup", "--quick", "--no-save")
    assert done.returncode == 0, done.stderr
    assert "normlab --help" in done.stdout and "ratio" in done.stdout


@pytest.fixture
def small_benchmarks(monkeypatch):
    """The batches of train-loop and data-path smaller still than those of --quick."""
    monkeypatch.setattr(train_loop, "QUICK_STEPS", {2: 50, 4: 50})
    monkeypatch.setattr(data_path, "_BATCH_SIZES", (2, 16))
    monkeypatch.setattr(data_path, "is_here", lambda data: False)  # random bytes, and fewer


@pytest.mark.usefixtures("small_benchmarks")
@pytest.mark.parametrize("name", ["train-loop", "data-path", "lm-step"])
def test_benchmarks_append_rows_that_say_what_was_measured(name, tmp_path):
    path = tmp_path / "bench.jsonl"
    path.write_text('{"earlier": "row"}\n')
    rows = run_benchmark(name, quick=True, save=True, path=path)
    earlier, *kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert earlier == {"earlier": "row"} and len(kept) == len(rows) > 0
    for row in kept:
        assert row["benchmark"] == name and row["ratio"] > 0
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert row.keys() >= {"device", "threads", "torch", "measured", "code", "machine", "quick"}


def test_show_prints_commands_as_they_are(normlab, tmp_path):
    """rich took `[corruptions]` for its own mark-up."""
    folder = ("--results", str(tmp_path))
    done = normlab("show", "ln-in-robust-shift", "--plan", "--profile", "smoke", *folder)
    assert done.returncode == 0, done.stderr
    assert "evaluations=[corruptions]" in done.stdout
    card = normlab("show", "ln-in-robust-shift", *folder)
    assert card.returncode == 0, card.stderr
    assert "NO DATA" in card.stdout and "train.py" not in card.stdout


def test_list_takes_a_damaged_file_for_no_missing_one(normlab, tmp_path):
    done = normlab("list", "--results", str(tmp_path))
    assert done.returncode == 0 and "no data" in done.stdout
    (tmp_path / "verdicts.json").write_text("[{")
    done = normlab("list", "--results", str(tmp_path))
    assert done.returncode == 2 and "cannot be read" in done.stderr


def test_what_is_missing_is_printed_as_it_is(capsys):
    part = PartVerdict("p", "s", "r", "no [text] read", NO_DATA)
    _print_table([Verdict("toy", "s", (), NO_DATA, (part,), missing=("arm [a]: 0 of 3 seeds",))])
    printed = capsys.readouterr().out
    assert "no [text] read" in printed and "arm [a]: 0 of 3 seeds" in printed
