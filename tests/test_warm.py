"""A fork of the warm process is what a new interpreter would be."""

import os
import signal
import subprocess

import pytest


def test_arguments_folder_environment_and_output_are_its_own(warm, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os, sys\nprint(sys.argv[1:], os.getcwd(), dict(os.environ))\n")
    done = warm.run(str(script), "a b", cwd=tmp_path, env={"ONLY": "this"})
    assert done.stdout == f"['a b'] {tmp_path} {{'ONLY': 'this'}}\n" and done.stderr == ""
    assert warm.run("-m", "script", "c", cwd=tmp_path, env={}).stdout.startswith("['c']")
    assert "ONLY" not in warm.run("-c", "import os; print(os.environ)").stdout


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("pass", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('a sentence')", 1, "a sentence\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
        ("import signal; signal.raise_signal(signal.SIGINT)", 1, "KeyboardInterrupt\n"),
    ],
)
def test_exit_status(warm, code, status, words):
    done = warm.run("-c", code)
    assert done.returncode == status and done.stderr.endswith(words)


def test_what_is_to_be_done_at_the_end_is_done(warm):
    code = "import atexit; atexit.register(print, 'last'); print('first', end=' ')"
    assert warm.run("-c", code).stdout == "first last\n"


def test_normlab_is_imported_anew_and_what_it_needs_is_there(warm):
    code = "import sys; print('normlab' in sys.modules, 'lightning' in sys.modules)"
    assert warm.run("-c", code).stdout == "False True\n"


def test_several_at_a_time_and_one_that_is_killed(warm, tmp_path):
    slow = warm.start("-c", "import time; time.sleep(600)")
    assert warm.run("-c", "raise SystemExit(4)").returncode == 4 and slow.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        slow.wait(0.1)
    slow.send_signal(signal.SIGKILL)
    assert slow.wait(60) == -signal.SIGKILL and slow.poll() == -signal.SIGKILL
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run("-c", "import time; time.sleep(600)", timeout=0.1)


WORKERS = """
import multiprocessing, os
from joblib.externals.loky import get_reusable_executor

def parent(_):
    return os.getppid()

if __name__ == "__main__":
    pool = get_reusable_executor(max_workers=1, env={"GIVEN": "yes"})
    print(pool.submit(os.getppid).result() == os.getpid(), pool.submit(os.getenv, "GIVEN").result())
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        print(processes.map(parent, [0]) == [os.getpid()])
"""


def test_workers_are_its_children(warm, tmp_path):
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    done = warm.run(str(script), env={**os.environ, "COLUMNS": "80"})
    assert done.stdout == "True yes\nTrue\n", done.stderr
