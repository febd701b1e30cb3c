"""Shared by all tests: one thread, real data where it lies, and train.py as a user runs it."""

import multiprocessing.forkserver
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import pytest
import torch
from browser import chromium
from warm import Warm, forked_loky, training_environment

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)


# Files with a test of fifteen seconds and more on a busy machine: first, so that none is left on
# one worker when the other has nothing more to do.
SLOW = (
    "test_smoke", "test_train_devices", "test_install", "test_docs", "test_build", "test_fit",
    "test_cli", "test_battery", "test_logged_trials", "test_runner", "test_train", "test_notebooks",
    "test_registered", "test_sources", "test_kernels_bench", "test_installed_package",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in SLOW)  # stable: else as they were
    if not torch.cuda.is_available():
        _leave_out(items, "gpu", "needs a CUDA device, and there is none here")
    if chromium() is None:
        _leave_out(items, "browser", "needs Chromium, and there is none here")


def _leave_out(items, marker, reason):
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_report_header():
    data = os.environ.get("NORMLAB_DATA")
    return (
        f"data: real data sets from {data}"
        if data
        else "data: embedded only (NORMLAB_DATA is not set)"
    )


@pytest.fixture
def real_data():
    """Overrides for real CIFAR-10 and text where NORMLAB_DATA holds them, else embedded data."""
    folder = Path(os.environ.get("NORMLAB_DATA", "/nonexistent"))
    images = ["data=cifar10", "data.subset=2000", "data.eval_subset=1000", "data.image_size=16"]
    return {
        "images": images if (folder / "cifar10").is_dir() else ["data=digits"],
        "text": ["data=tiny_shakespeare"]
        if (folder / "tiny_shakespeare").is_dir()
        else ["data=pydoc"],
    }


@pytest.fixture(scope="session")
def warm():
    """`warm.run(*arguments)` is `python *arguments` without the seconds that it takes to start."""
    return Warm()


@pytest.fixture(scope="session")
def normlab(warm):
    """`normlab *arguments`; the finished process with its text. `cwd`, `env` as in subprocess."""

    def run(*arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
        return warm.run("-m", "normlab.cli", *arguments, **how)

    return run


@pytest.fixture
def train(warm, tmp_path):
    """`python train.py *arguments` in an empty folder; the finished process with its text."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = training_environment(**environment)
        return warm.run(str(ROOT / "train.py"), *arguments, cwd=tmp_path, env=env)

    return run


@pytest.fixture
def train_in_an_interpreter(tmp_path):
    """The same in an interpreter of its own, as a user starts it, which costs seconds."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *arguments],
            cwd=tmp_path,
            env=training_environment(**environment),
            capture_output=True,
            text=True,
            timeout=600,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture(scope="session", autouse=True)
def _workers_are_forks():
    """Those of `run_claims` in this process, which has imported what they need."""
    if torch.cuda.is_available():  # a fork cannot use a GPU that its parent has used
        yield
        return
    with forked_loky():
        yield


@pytest.fixture(scope="session")
def group_server():
    """What starts groups of processes has imported what DistributedDataParallel asks for.

    That takes 2 s of each process otherwise. Only what is set before the server starts counts.
    """
    modules = ["torch.distributed", "torch._dynamo.utils", "normlab.measure.distributed"]
    multiprocessing.forkserver.set_forkserver_preload(modules)
    multiprocessing.forkserver.ensure_running()


@pytest.fixture(scope="module")
def group_of_one():
    """A process group of this process alone, in which syncbatchnorm takes its own way."""
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()
