"""Trials per hour of the small-batch grid: warm workers against a fresh process for each run.

Workers have one thread, fresh processes two. Two baselines: the very same trials, and true small
batches (`data.batch_size=n`), which is how such a grid is usually run and what ghost batches
replace. The sides alternate, batch by batch, on an otherwise idle machine.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from normlab.claims.design import Job
from normlab.claims.protocols.images import image_protocols
from normlab.claims.run.engines import run_all
from normlab.claims.run.engines.local import LocalEngine
from normlab.config.cache import plain_config
from normlab.data.availability import is_here
from normlab.records.places import EXPERIMENTS
from normlab.records.record import trial_key
from normlab.records.store import DONE


def run(quick: bool = False) -> list[dict[str, Any]]:
    """One row per baseline; `ratio` = our trials per hour over the baseline's, goal 5."""
    protocols = image_protocols()
    name = "quick" if is_here("cifar10") else "quick-embedded"
    base = protocols[name].overrides
    sizes = (2, 16) if quick else (2, 4, 8, 16, 32, 64)
    workers = os.cpu_count() or 1
    engine = LocalEngine(workers, EXPERIMENTS)
    try:
        # One trial for each worker, which imports torch before anything is timed.
        _ours(engine, base, sizes[-1:] * workers, "warm-up")
        ours, same, true = [], [], []
        for n in sizes:
            ours.append(_ours(engine, base, (n,) * (2 * workers), f"round {n}") / (2 * workers))
            same.append(_fresh((*base, "norm=batchnorm", f"norm.ghost_batch={n}")))
            true.append(_fresh((*base, "norm=batchnorm", f"data.batch_size={n}")))
    finally:
        engine.close()
    return [
        _row("the same trials, fresh processes", name, ours, same, sizes, workers),
        _row("true small batches, fresh processes", name, ours, true, sizes, workers),
    ]


def _ours(engine: LocalEngine, base: tuple[str, ...], sizes: tuple[int, ...], label: str) -> float:
    """Seconds for one trial per entry of `sizes`."""
    jobs = []
    for seed, n in enumerate(sizes):
        overrides = (*base, "norm=batchnorm", f"norm.ghost_batch={n}", f"seed={seed}")
        # As a `Design` does it: the seed is set afterwards, and composed once for all seeds.
        key = trial_key({**plain_config(overrides[:-1]), "seed": seed})
        jobs.append(Job(key, "bench", label, seed, overrides))
    began = time.perf_counter()
    for _, record in run_all(engine, jobs):
        if record.status not in DONE:  # its time would be that of no trial
            raise RuntimeError(f"a trial of the benchmark failed: {record.message}")
    return time.perf_counter() - began


def _fresh(overrides: tuple[str, ...]) -> float:
    """Seconds for one run of train.py with two threads, from the shell."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "2"}
        command = [
            sys.executable,
            "-m",
            "normlab.train",
            *overrides,
            "trainer.threads=2",
            "logger=none",
        ]
        began = time.perf_counter()
        subprocess.run(
            command, check=True, cwd=Path(folder), env=environment, stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - began


def _row(
    baseline: str,
    data: str,
    ours: list[float],
    theirs: list[float],
    sizes: tuple[int, ...],
    workers: int,
) -> dict[str, Any]:
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    return {
        "benchmark": "sweep",
        "subject": f"{workers} warm one-thread workers",
        "baseline": baseline,
        "ratio": sum(theirs) / sum(ours),
        "ratio_low": ratios[0],
        "ratio_high": ratios[-1],
        "goal": ">= 5",
        "trials_per_hour": 3600 / statistics.mean(ours),
        "baseline_trials_per_hour": 3600 / statistics.mean(theirs),
        "normalization_batches": list(sizes),
        "protocol": data,
        "device": "cpu",
        "threads": 1,
        "torch": torch.__version__,
    }
