"""An installation on a machine without a compiler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


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
