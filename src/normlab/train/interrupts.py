"""Ctrl-C in a training or a sweep: one sentence, and status 130, from wherever it is caught."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from normlab.errors import interrupted


class Interrupts:
    """Inside `with`, Ctrl-C ends the process by a sentence that says what is kept.

    It is noted by the signal and not by the exception: Lightning turns that into its own exit with
    status 1, and a launcher into an error of its workers.
    """

    def __init__(self) -> None:
        self.run_dir: Path | None = None  # of a job that is none of a sweep
        self.outcomes: Path | None = None  # folder in which the jobs of a sweep leave theirs
        self.came = False
        self._began = time.time() - 0.1  # the clock of files is a coarser one

    def __enter__(self) -> Self:
        # Who starts us with SIGINT ignored, as a shell does in the background, wants it so.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.came = True
        if _in_finalizer(frame):
            # What is raised in there is lost: once more, when it has ended.
            threading.Timer(0.1, os.kill, (os.getpid(), signum)).start()
            return
        raise KeyboardInterrupt

    def __exit__(
        self, kind: type | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.came or isinstance(error, KeyboardInterrupt):
            interrupted(self._kept())

    def _kept(self) -> str:
        """What is kept, and how to go on."""
        done = [] if self.outcomes is None else sorted(self.outcomes.iterdir())
        if done:
            folder = os.path.relpath(json.loads(done[0].read_text())["folder"])
            kept = "1 job is" if len(done) == 1 else f"{len(done)} jobs are"
            return f"{kept} done and kept in {folder}; the same command goes on with the rest."
        record = self.run_dir and self.run_dir / "record.json"
        if record and _is_new(record, self._began):
            return f"the run was over, and {os.path.relpath(record)} is kept."
        checkpoint = self.run_dir and self.run_dir / "last.ckpt"
        if checkpoint and _is_new(checkpoint, self._began):
            path = os.path.relpath(checkpoint)
            return f"{path} is kept; the same command with trainer.resume={path} goes on from it."
        return (
            "no result is kept; the same command starts again (trainer.checkpoint_every=N keeps a "
            "run's last steps, and a sweep its jobs that are done)."
        )


def _is_new(path: Path, began: float) -> bool:
    """Whether the file is there, and written since this process began."""
    return path.is_file() and path.stat().st_mtime >= began


def _in_finalizer(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
