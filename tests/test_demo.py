"""What `make demo` says at its end comes from the two records."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.errors import NormLabError
from normlab.records.record import Record

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "demo.py"
MADE_UP = {"groupnorm": {"test_accuracy": 0.976},
           "batchnorm": {"test_accuracy": 0.152, "instance_test_accuracy": 0.734}}  # fmt: skip


@pytest.fixture
def demo():
    """The script's functions."""
    return runpy.run_path(str(SCRIPT))


def runs(folder, **metrics):
    """A folder with a record for each norm."""
    for name, measured in {**MADE_UP, **metrics}.items():
        (folder / name).mkdir(exist_ok=True)
        Record("key", {}, status="ok", metrics=measured).write(folder / name / "record.json")
    return [str(folder / "groupnorm"), str(folder / "batchnorm")]


def test_it_says_and_draws_what_the_records_hold(demo, tmp_path, capsys):
    demo["main"](runs(tmp_path))
    shown = capsys.readouterr().out
    text = " ".join(shown.split())
    assert "learned to be right on 73 % of the test images" in text
    assert "and is right on 15 %" in text and text.count("GroupNorm needs no averages: 98 %") == 1
    rows = [line for line in shown.splitlines() if line.endswith(" %") and "█" in line]
    lengths = [line.count("█") for line in rows]
    assert [line.split()[-2] for line in rows] == ["97.6", "73.4", "15.2"]
    assert lengths[0] > lengths[1] > lengths[2] > 0
    assert "normlab show bn-batch1-fails" in shown and max(map(len, shown.splitlines())) <= 80


def test_other_records_give_other_numbers(demo, tmp_path, capsys):
    demo["main"](runs(tmp_path, groupnorm={"test_accuracy": 0.5}))
    assert "GroupNorm needs no averages: 50 %" in " ".join(capsys.readouterr().out.split())


def test_what_is_missing_is_said(demo, tmp_path):
    with pytest.raises(NormLabError, match="instance_test_accuracy: run `make demo`"):
        demo["main"](runs(tmp_path, batchnorm={"test_accuracy": 0.15}))
    with pytest.raises(NormLabError, match="two folders"):
        demo["main"]([])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 2 and "holds no record.json" in done.stderr
    assert "Traceback" not in done.stderr
