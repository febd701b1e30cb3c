"""What a record says of the machine that made it: the versions of what computes, the processor."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("torch", "lightning", "numpy", "normlab")


def versions() -> dict[str, str]:
    """By name: Python, the installed packages, the processor, and the kernel of norms on it."""
    from normlab.norms import kernels

    # Not kept with the others: kernels are turned off and on.
    return {**_versions(), "kernel": kernels.name()}


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "processor": processor()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout with PYTHONPATH=src
            continue
    return found


@cache
def processor() -> str:
    """Model, and the instructions that torch uses of it: "AMD EPYC, AVX512" say.

    Makes with other instructions add in another order, which changes the last digits.
    """
    import torch

    return f"{_model()}, {torch.backends.cpu.get_cpu_capability()}"


def _model() -> str:
    """As the kernel names it; elsewhere what Python knows, if no more than the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
