"""Nothing recorded is lost, whatever is killed and when; a crash or a hang does not stop the
rest."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from normlab.claims.registry import load_claim
from normlab.claims.run.engines import build_engine, local
from normlab.claims.run.engines.local import LocalEngine
from normlab.claims.run.runner import run_claims
from normlab.errors import NormLabError
from normlab.records.store import Store


def run(folder, results, engine="local", **options):
    claim = load_claim("toy", folder)
    store = Store(results)
    tally = run_claims([claim], "quick", store, build_engine(engine, 2, folder), **options)
    return tally, Store(results)


def lines(results):
    path = results / "toy.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_runs_what_is_missing_and_skips_what_is_done(toy, tmp_path):
    folder, results = toy(seeds=3), tmp_path / "results"
    tally, _ = run(folder, results)
    assert (tally.done, tally.failed) == (6, 0)
    before = (results / "toy.jsonl").read_bytes()
    tally, _ = run(folder, results)
    assert tally.done == 0 and (results / "toy.jsonl").read_bytes() == before
    tally, store = run(folder, results, seeds=5)  # more seeds, for every arm alike
    assert tally.done == 4 and (results / "toy.jsonl").read_bytes().startswith(before)
    assert {(r.arm, r.seed) for r in store.done().values()} == {
        (a, s) for a in "AB" for s in range(5)
    }


def test_a_crash_a_hang_and_a_dying_worker_stop_nobody_else(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "GRACE_S", 2.0)
    arms = ", ".join(
        f'arm("{do}", 1.0, "{do}")' for do in ("work", "crash", "hang", "deaf", "die", "die once")
    )
    tally, store = run(toy(arms, seeds=2, timeout=3.0), tmp_path / "results")
    status = {(record.arm, record.seed): record.status for record in store.records.values()}
    expected = {
        "work": "ok",
        "crash": "failed",
        "hang": "timeout",
        "deaf": "timeout",
        "die": "failed",
        "die once": "ok",
    }
    assert status == {(arm, seed): word for arm, word in expected.items() for seed in range(2)}
    assert tally.done == 12 and tally.failed == 8
    messages = {record.arm: record.message for record in store.records.values()}
    assert "RuntimeError: as asked" in messages["crash"] and "worker died" in messages["die"]
    assert len(store.done()) == 4


def test_failed_trials_are_tried_again_by_the_next_run(toy, tmp_path):
    results = tmp_path / "results"
    _, store = run(toy('arm("A", 3.0, "crash"), arm("B", 1.0)', seeds=1), results)
    assert len(store.done()) == 1
    assert len(lines(results)) == 2
    run(toy('arm("A", 3.0, "crash"), arm("B", 1.0)', seeds=1), results)
    assert len(lines(results)) == 3  # only the failed one


def test_parent_killed_many_times_loses_only_what_was_in_flight(warm, toy, tmp_path):
    seeds = 20
    folder, results = toy(seeds=seeds), tmp_path / "results"
    generator = random.Random(0)
    command = ("-m", "normlab.cli", "run", "toy", "--results", str(results), "--workers", "2")
    environment = {**os.environ, "NORMLAB_EXPERIMENTS": str(folder)}
    kept = 0
    for _ in range(5):
        process = warm.start(*command, env=environment)
        limit = time.monotonic() + 300
        while (
            len(complete(results)) <= kept and process.poll() is None and time.monotonic() < limit
        ):
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.1)
        now = complete(results)
        assert len(now) >= kept, "a recorded trial is gone"
        assert len({row["key"] for row in now}) == len(now), "a trial was run twice"
        kept = len(now)
        # A line torn by the kill, as a slow disk would leave it.
        with (results / "toy.jsonl").open("ab") as file:
            file.write(b'{"key": "torn')
    done = warm.run(*command, env=environment)
    assert done.returncode == 0, done.stderr
    assert "cut a torn last line off" in done.stderr
    assert (
        len(lines(results)) == 2 * seeds
        and len({row["key"] for row in lines(results)}) == 2 * seeds
    )
    assert "supported" in done.stdout


def complete(results):
    path = results / "toy.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_killed_parents_leave_no_workers_behind(toy, tmp_path):
    folder = toy('arm("A", 3.0, "hang")', seeds=2, timeout=500.0)
    command = [
        sys.executable,
        "-m",
        "normlab.cli",
        "run",
        "toy",
        "--results",
        str(tmp_path / "results"),
        "--workers",
        "2",
    ]
    environment = {
        **os.environ,
        "NORMLAB_EXPERIMENTS": str(folder),
        "NORMLAB_TEST_MARK": str(tmp_path),
    }
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    flags = tmp_path / "flags"
    limit = time.monotonic() + 300
    while len(list(flags.iterdir())) < 2 and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    assert len(list(flags.iterdir())) == 2 and len(working(str(tmp_path))) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    limit = time.monotonic() + 60
    while (left := working(str(tmp_path))) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not left


def working(mark):
    """Processes of loky's that carry the mark in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if (
            mark.encode() in environment
            and b"loky" in command
            and b"resource_tracker" not in command
        ):
            found.append(int(pid))
    return found


def test_one_writer_at_a_time(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("normlab.records.lines.WAIT_S", 0.0)
    folder, results = toy(), tmp_path / "results"
    with Store(results), pytest.raises(NormLabError, match="another `normlab run`"):
        run(folder, results)
    tally, _ = run(folder, results)
    assert tally.done == 10


def test_deadline_starts_no_new_trial(toy, tmp_path):
    folder, results = toy(seeds=30), tmp_path / "results"
    tally, _ = run(folder, results, deadline=time.perf_counter() + 1e-9)
    assert tally.done == 0
    tally, _ = run(folder, results, deadline=time.perf_counter() + 1000)
    assert tally.done == 60


@pytest.mark.parametrize("engine", ["ray", "submitit"])
def test_other_engines_run_the_same_jobs(toy, tmp_path, monkeypatch, engine):
    monkeypatch.chdir(tmp_path)  # submitit keeps its logs under runs/
    # One seed: each job of submitit's starts an interpreter.
    folder = toy('arm("A", 3.0), arm("B", 1.0, "crash")', seeds=1, timeout=300.0)
    tally, store = run(folder, tmp_path / "results", engine)
    assert tally.done == 2 and tally.failed == 1
    assert {record.status for record in store.records.values() if record.arm == "A"} == {"ok"}


def test_unknown_engine_and_no_workers_are_refused(tmp_path):
    with pytest.raises(NormLabError, match="local, ray, submitit"):
        build_engine("slurm", 1, tmp_path)
    with pytest.raises(NormLabError, match="at least 1"):
        build_engine("local", 0, tmp_path)


def test_workers_have_one_thread(tmp_path, toy):
    source = (toy(seeds=1) / "toy.py").read_text()
    path = tmp_path / "experiments" / "toy.py"
    path.write_text(
        source.replace(
            'return {"score":',
            'import torch\n    return {"threads": torch.get_num_threads(), "score":',
        )
    )
    _, store = run(tmp_path / "experiments", tmp_path / "results")
    assert {record.metrics["threads"] for record in store.records.values()} == {1}
    assert isinstance(build_engine("local", 2, tmp_path), LocalEngine)
