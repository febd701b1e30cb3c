"""The notebooks run from end to end on this Python, and are committed without outputs."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from queue import Empty

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from normlab.claims.registry import EXPERIMENTS
from normlab.records.store import RESULTS
from normlab.report.pages import first_page, links

ROOT = EXPERIMENTS.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_they_are_all_there():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05"]


def test_the_report_links_to_each():
    page = RESULTS / "report" / "index.html"
    linked = re.findall(r'href="([^"]+\.ipynb)"', first_page([], 0, links(RESULTS, page)))
    assert [(page.parent / link).resolve() for link in linked] == NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_committed(path):
    book = json.loads(path.read_text())
    for cell in book["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    assert set(book["metadata"]) <= {"kernelspec", "language_info"}


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_runs(path, warm, tmp_path):
    """All cells in a kernel of its own, a fork; nothing is written beside the notebook."""
    before = sorted(path.parent.iterdir())
    book = json.loads(path.read_text())
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    with kernel(warm, path.parent, tmp_path) as client:
        # The fork has imported matplotlib already, which reads at its import where it draws.
        drawn = [run(client, source) for source in ("%matplotlib inline", *cells)]
    assert any(drawn), "no cell shows a figure"
    assert sorted(path.parent.iterdir()) == before


ANSWERS = {
    "01": ("lambda x: F.layer_norm(x, x.shape[2:])", "lambda x: F.layer_norm(x, x.shape[1:])"),
    "02": ("512", "256"),
    "03": (
        "(lambda x, norm, f: x + f(norm(x)), lambda x, norm, f: norm(x + f(x)))",
        "(lambda x, norm, f: norm(x + f(x)), lambda x, norm, f: x + f(norm(x)))",
    ),
    "04": ("lambda width: 8 * width", "lambda width: 4 * width"),
    "05": ("{'mean_abs_norm': True, 'dyt': False}", "{'mean_abs_norm': True, 'dyt': True}"),
}


@pytest.mark.parametrize("number", ANSWERS)
def test_an_exercise_knows_its_answer(number, capsys):
    """Its cell needs no other one. None, what is wrong, what breaks, and what is right."""
    (path,) = (path for path in NOTEBOOKS if path.stem.startswith(number))
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]}
    given, wrong = ANSWERS[number]
    said = []
    for answer in ("None", wrong, "object()", given):
        cell = cells[f"{number}-answer"]
        source, times = re.subn("(?m)^answer = None", f"answer = {answer}", cell)
        assert times == 1
        exec(source, {})
        said.append(capsys.readouterr().out)
    assert said[0].startswith("No answer yet") and said[-1] == "Right.\n"
    assert all(text.startswith("Not yet") for text in said[1:3])


@contextmanager
def kernel(warm, folder, written):
    """A client of what Jupyter starts for a notebook in `folder`; files go to `written`."""
    connection, errors = written / "connection.json", written / "errors"
    write_connection_file(str(connection))
    command = ("-m", "ipykernel_launcher", "-f", str(connection))
    environment = environment_in(written) | {"JPY_PARENT_PID": "2"}  # it ends with its parent
    process = warm.start(*command, cwd=folder, env=environment, errors=errors)
    client = BlockingKernelClient(connection_file=str(connection))
    client.load_connection_file()
    client.start_channels()
    try:
        while not answers(client):
            assert process.poll() is None, errors.read_text()
        yield client
        client.shutdown()
        process.wait(60)
    finally:
        client.stop_channels()
        process.send_signal(signal.SIGKILL)


def answers(client):
    """Whether it does, on both channels. Its heart may stand still while it imports."""
    client.kernel_info()
    try:
        client.get_shell_msg(timeout=2)
        client.get_iopub_msg(timeout=2)
    except Empty:
        return False
    return True


def run(client, source):
    """Run one cell; whether it shows a figure."""
    messages = []
    reply = client.execute_interactive(
        source, allow_stdin=False, timeout=1200, output_hook=messages.append
    )
    content = reply["content"]
    assert content["status"] == "ok", "\n".join([source, *content["traceback"]])
    return any("image/png" in message["content"].get("data", {}) for message in messages)


def test_jupyter_runs_one(tmp_path):
    """nbmake in a process of its own, which starts the kernel as Jupyter does.

    An empty data folder leaves only the kernel that ipykernel brings along, whose Python is the one
    that runs it.
    """
    path, before = NOTEBOOKS[0], sorted(NOTEBOOKS[0].parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-kernel=python3",
         "--nbmake-timeout=1200", "-p", "no:xdist", str(path)],
        cwd=ROOT, env=environment_in(tmp_path), capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert sorted(path.parent.iterdir()) == before


def environment_in(folder):
    """Of a kernel whose own files go to `folder`."""
    folders = ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = {**os.environ, **dict.fromkeys(folders, str(folder))}
    environment |= {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("MPLBACKEND", None)  # the kernel draws into the notebook
    return environment
