"""`normlab bench syncbn` and the script for GPUs: what is counted, and that processes agree. No
time is asserted."""

from pathlib import Path

import pytest
import torch

from normlab.measure.timing import syncbn
from normlab.training.processes import run_group

pytestmark = pytest.mark.usefixtures("group_server")
SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "syncbn_gpus.py"


def test_rows_and_messages():
    arguments = (2, "cpu", 2, 1e-6, ("ours", "by hand"), 1)
    everyone = run_group(
        syncbn.measure_rows, 2, *arguments, preload=("normlab.measure.timing.syncbn",)
    )
    ours, alone, by_hand = everyone[0]
    assert everyone[0] == everyone[1]  # one clock for all
    widths = [16, 16, 16, 32, 32, 64, 64]
    assert ours["collectives"] == 2 * len(widths) == 2 * syncbn.LAYERS
    assert ours["bytes"] == 4 * sum(2 * width + 1 + 2 * width for width in widths)
    assert by_hand["collectives"] == 4 * len(widths)
    assert ours["goal"] == "<= 1.3" and alone["goal"] is None
    assert ours["floor_ratio"] == pytest.approx(1 + alone["ratio"]) and ours["world_size"] == 2


def test_without_ours_there_is_no_floor():
    arguments = (2, "cpu", 2, 1e-6, ("by hand",), 1)
    (row,), _ = run_group(
        syncbn.measure_rows, 2, *arguments, preload=("normlab.measure.timing.syncbn",)
    )
    assert row["floor_ratio"] is None and row["collectives"] > 0


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="about machines without several GPUs")
def test_the_script_says_what_it_cannot_do(warm):
    done = warm.run(str(SCRIPT))
    assert done.returncode == 2 and done.stdout.startswith("GPUs: ")
    assert "need two of them" in done.stderr and "Traceback" not in done.stderr
