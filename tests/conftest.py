"""Shared by all tests: one thread, real data where it lies, and train.py as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none here"))


def pytest_report_header():
    data = os.environ.get("NORMLAB_DATA")
    return (
        f"data: real data sets from {data}"
        if data
        else "data: embedded only (NORMLAB_DATA is not set)"
    )


@pytest.fixture
def real_data():
    """The overrides that name real CIFAR-10 and real text if NORMLAB_DATA holds them, else the embedded data."""
    folder = Path(os.environ.get("NORMLAB_DATA", "/nonexistent"))
    images = ["data=cifar10", "data.subset=2000", "data.eval_subset=1000", "data.image_size=16"]
    return {
        "images": images if (folder / "cifar10").is_dir() else ["data=digits"],
        "text": ["data=tiny_shakespeare"]
        if (folder / "tiny_shakespeare").is_dir()
        else ["data=pydoc"],
    }


@pytest.fixture
def train(tmp_path):
    """`python train.py *arguments` in an empty folder; the finished process with its text."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        env = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "WANDB_MODE": "offline",
            "COLUMNS": "200",
            **environment,
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *arguments],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def group_of_one():
    """A process group of this process alone, so that syncbatchnorm takes its own way and not that of batchnorm."""
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()
