"""A group of processes ends as one: with everybody's results, or at once with the first failure."""

import os
import time

import pytest
import rank_functions

from normlab.errors import NormLabError
from normlab.training.processes import GroupError, run_group

PRELOAD = ("normlab.measure.distributed",)
pytestmark = pytest.mark.usefixtures("group_server")


def run(how, tmp_path, **options):
    return run_group(
        rank_functions.misbehave, 2, how, str(tmp_path / "pid"), preload=PRELOAD, **options
    )


def gone(tmp_path):
    """Whether no process of the group is left."""
    pids = [int(file.read_text()) for file in tmp_path.glob("pid-*")]
    until = time.monotonic() + 60
    while time.monotonic() < until and any(os.path.exists(f"/proc/{pid}/fd/0") for pid in pids):
        time.sleep(0.05)
    return len(pids) == 2 and not any(os.path.exists(f"/proc/{pid}/fd/0") for pid in pids)


def test_results_come_by_rank(tmp_path):
    assert run("work", tmp_path) == [0, 1]
    assert gone(tmp_path)


@pytest.mark.parametrize(
    ("how", "options", "error", "words"),
    [
        ("die", {}, GroupError, "rank 1 died: exit status -9"),
        ("raise", {}, GroupError, "rank 1: RuntimeError: as asked"),
        ("refuse", {}, NormLabError, "not like this."),
        ("hang", {"wait_s": 3.0}, GroupError, "rank 0: "),
        ("late", {"timeout_s": 8.0}, GroupError, "no result within 8 s"),
    ],
)
def test_one_failure_ends_all(how, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        run(how, tmp_path, **options)
    assert gone(tmp_path)
