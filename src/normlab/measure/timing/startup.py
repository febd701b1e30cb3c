"""Seconds from the shell to an answer, whole processes, against a bare `python -c pass` in the
same rounds."""

import os
import platform
import statistics
import subprocess
import sys
import time
from typing import Any

_COMMANDS = {
    "normlab --help": ([sys.executable, "-m", "normlab.cli", "--help"], 0.5),
    "python train.py --cfg job": ([sys.executable, "-m", "normlab.train", "--cfg", "job"], 1.5),
}


def run(quick: bool = False) -> list[dict[str, Any]]:
    """One row per command: median, quartiles in seconds, the goal, and the ratio to starting
    Python at all."""
    return [
        _row(name, command, goal, rounds=3 if quick else 11)
        for name, (command, goal) in _COMMANDS.items()
    ]


def _row(name: str, command: list[str], goal: float, rounds: int) -> dict[str, Any]:
    bare, ours = [], []
    for _ in range(rounds + 1):
        bare.append(_seconds([sys.executable, "-c", "pass"]))
        ours.append(_seconds(command))
    bare, ours = bare[1:], ours[1:]  # the first round fills the file cache
    ratios = [b / a for a, b in zip(bare, ours, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "benchmark": "startup",
        "subject": name,
        "baseline": "python -c pass",
        "ratio": median,
        "ratio_low": low,
        "ratio_high": high,
        "goal": f"{goal} s; measured {statistics.median(ours):.2f} s",
        "seconds": statistics.median(ours),
        "seconds_low": min(ours),
        "seconds_high": max(ours),
        "baseline_s": statistics.median(bare),
        "rounds": rounds,
        "device": "cpu",
        "python": platform.python_version(),
    }


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began
