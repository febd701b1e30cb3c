"""The library of kernels: called by what stands in it, and an installation without a compiler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from normlab.norms import kernels
from normlab.norms.kernels import library

ROOT = Path(__file__).resolve().parents[2]
built = pytest.mark.skipif(
    library._library() is None, reason="no kernels in C: they are built by `pip install -e .`"
)


@built
def test_a_kernel_is_called_with_numbers_alone(monkeypatch):
    """By the module of the library, where it has one, and to the same bits by ctypes."""
    monkeypatch.delenv("NORMLAB_KERNELS", raising=False)
    path = Path(library._library()._name)
    kernel = library.functions(torch.float32).rms_forward
    if library._binding(path) is not library._by_ctypes:
        for wrong in ([], [0] * 17, ["x"] * 8, [0.5] * 8):
            with pytest.raises(TypeError):
                kernel(*wrong)
    assert library._binding(path.parent / "_norms.of_another_system") is library._by_ctypes
    by_ctypes = library._by_ctypes(
        library._library(), "rms_forward", f"normlab_{kernels.name()[2:]}_float32_rms_forward"
    )
    x, weight = torch.randn(5, 12), torch.randn(12)
    results = []
    for function in (kernel, by_ctypes):
        y = torch.empty_like(x)
        function(x.data_ptr(), weight.data_ptr(), 0, y.data_ptr(), 0, 5, 12, 1)  # eps is whole
        results.append(y)
    assert torch.equal(*results)


def test_a_build_without_a_compiler_says_so(tmp_path):
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    folder = "src/normlab/norms/kernels"
    left_out = shutil.ignore_patterns("_norms*", "__pycache__")
    shutil.copytree(ROOT / folder, tmp_path / folder, ignore=left_out)
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    environment = os.environ | {"CC": "no-such-compiler"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("normlab has no kernels in C") == 1
    assert not list((tmp_path / folder).glob("_norms*"))
