"""Evidence names the commit that made it: so its code must be committed before a trial starts."""

import subprocess
from pathlib import Path

from normlab.errors import NormLabError
from normlab.records.places import CHECKOUT, EXPERIMENTS, RESULTS

CODE = ("src", "conf", "experiments", "train.py")  # what a trial may run through


def check_committed(folder: Path) -> str | None:
    """The commit that evidence for `folder` will name; None where no commit is asked for.

    That is outside of a checkout, for claims of one's own, and for records that are kept elsewhere.

    Raises:
        NormLabError: code is not committed.
    """
    inside = CHECKOUT is not None and EXPERIMENTS.resolve().is_relative_to(CHECKOUT)
    if not inside or folder.resolve() != RESULTS.resolve():
        return None
    lines = git("status", "--porcelain", "--untracked-files=all", "--", *CODE)
    commit = git("rev-parse", "HEAD")
    if lines is None or commit is None:  # a copy without its history
        return None
    if lines:
        changed = [line[3:] for line in lines.splitlines()]
        others = f" and {len(changed) - 1} more" if changed[1:] else ""
        raise NormLabError(
            f"{changed[0]}{others}: not committed, so that no commit would hold the code of this "
            "evidence. Commit first, or run with --profile smoke or another --results."
        )
    return commit.strip()


def git(*arguments: str) -> str | None:
    """What git says of this checkout; None where it refuses."""
    command = ["git", "-C", str(CHECKOUT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
