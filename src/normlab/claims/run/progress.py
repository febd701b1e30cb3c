"""Trials done, diverged and failed, and the time that is left, on a terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from normlab.claims.run.runner import Tally


class ProgressBar:
    """A bar on stderr while it is open; it leaves nothing behind."""

    def __init__(self, *, enabled: bool) -> None:
        self.bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[diverged]} diverged, {task.fields[failed]} failed"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not enabled,
        )
        self.row = self.bar.add_task("", total=None, diverged=0, failed=0)

    def __enter__(self) -> "ProgressBar":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def update(self, tally: "Tally", remaining: int) -> None:
        """Show what is done, and how many trials remain as far as the plan knows."""
        self.bar.update(
            self.row,
            completed=tally.done,
            total=tally.done + max(0, remaining),
            diverged=tally.diverged,
            failed=tally.failed,
        )
