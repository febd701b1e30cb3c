"""The notebooks run from end to end on this Python, and are committed without outputs."""

import json
import os
import re
import subprocess
import sys

import pytest

from normlab.claims.registry import EXPERIMENTS
from normlab.records.store import RESULTS
from normlab.report.build import _links, html

ROOT = EXPERIMENTS.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_they_are_all_there():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05"]


def test_the_report_links_to_each():
    page = RESULTS / "report" / "index.html"
    linked = re.findall(r'href="([^"]+\.ipynb)"', html([], 0, _links(RESULTS, page)))
    assert [(page.parent / link).resolve() for link in linked] == NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_committed(path):
    book = json.loads(path.read_text())
    for cell in book["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    assert set(book["metadata"]) <= {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    """nbmake in a process of its own; nothing is written beside the notebook.

    An empty data folder leaves only the kernel that ipykernel brings along, whose Python is the one
    that runs it.
    """
    before = sorted(path.parent.iterdir())
    folders = ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = {
        **os.environ,
        **dict.fromkeys(folders, str(tmp_path)),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    environment |= {"OMP_NUM_THREADS": "1"}
    environment.pop("MPLBACKEND", None)  # the kernel draws into the notebook
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-kernel=python3",
         "--nbmake-timeout=1200", "-p", "no:xdist", str(path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert sorted(path.parent.iterdir()) == before
