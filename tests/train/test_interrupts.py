"""Ctrl-C: one sentence with what is kept and how to go on, and status 130."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from warm import training_environment

from normlab.cli import commands
from normlab.train.interrupts import Interrupts

ROOT = Path(__file__).resolve().parents[2]
LONG = ["trainer.max_steps=1000000", "trainer.checkpoint_every=50", "trainer.chunk_steps=10"]


def interrupted(warm, folder, arguments, sign, files=1):
    """What train.py says where it gets SIGINT once `sign`, a pattern, fits as many files."""
    output, errors = folder / "output", folder / "errors"
    child = warm.start(
        str(ROOT / "train.py"), *arguments, cwd=folder, env=training_environment(),
        output=output, errors=errors,
    )  # fmt: skip
    until = time.monotonic() + 120
    while len(list(folder.glob(sign))) < files and time.monotonic() < until:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    return child.wait(60), output.read_text(), errors.read_text()


def test_a_run_names_its_checkpoint(warm, tmp_path):
    arguments = [*LONG, "hydra.run.dir=run"]
    status, _, errors = interrupted(warm, tmp_path, arguments, "run/last.ckpt")
    assert status == 130 and "Traceback" not in errors
    assert "interrupted: run/last.ckpt is kept" in errors
    assert "trainer.resume=run/last.ckpt" in errors


def test_a_sweep_has_the_table_of_what_is_done_and_goes_on(warm, tmp_path):
    arguments = ["-m", "trainer.max_steps=20,1000000", "hydra.sweep.dir=sweep"]
    # In the second job: the first one has ended.
    status, output, errors = interrupted(warm, tmp_path, arguments, "sweep/*/train.log", files=2)
    assert status == 130 and "Traceback" not in errors, errors
    assert "1 job: 1 done, 0 failed." in output
    assert "1 job is done and kept in sweep; the same command goes on with the rest." in errors


def kept(interrupts):
    with pytest.raises(SystemExit) as exit_, interrupts:
        raise KeyboardInterrupt
    assert exit_.value.code == 130


def test_what_is_kept_is_named(tmp_path, capsys):
    interrupts = Interrupts()
    kept(interrupts)
    assert "no result is kept; the same command starts again" in capsys.readouterr().err
    interrupts.run_dir = tmp_path
    (tmp_path / "last.ckpt").touch()
    os.utime(tmp_path / "last.ckpt", (1, 1))  # of a run before this one
    kept(interrupts)
    assert "no result is kept" in capsys.readouterr().err
    (tmp_path / "record.json").touch()
    kept(interrupts)
    assert "the run was over" in capsys.readouterr().err
    interrupts.outcomes = tmp_path / "outcomes"
    interrupts.outcomes.mkdir()
    for number in range(2):
        (interrupts.outcomes / f"{number}.json").write_text(json.dumps({"folder": "runs/sweep"}))
    kept(interrupts)
    assert "2 jobs are done and kept in runs/sweep" in capsys.readouterr().err


class Slow:
    """Its end takes a while, and loses whatever is raised in it."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.02)


def test_a_signal_inside_a_finalizer_is_not_lost(capsys):
    # The suite itself may have been started with SIGINT ignored, in the background of a shell.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as exit_, Interrupts():
            Slow()
            time.sleep(10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert exit_.value.code == 130 and "Exception ignored" not in capsys.readouterr().err


@pytest.mark.parametrize(("name", "words"), [("run", "is recorded"), ("fold", "starts again")])
def test_a_command_says_what_is_kept(name, words, capsys):
    def command():
        raise KeyboardInterrupt

    command.__name__ = name
    with pytest.raises(SystemExit) as exit_:
        commands._guarded(command)()
    assert exit_.value.code == 130 and words in capsys.readouterr().err
