"""What commands that run trials say at their end."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normlab.claims.run.runner import Tally


def ran(tally: "Tally", seconds: float) -> str:
    """How many trials ran, how long, and how they ended."""
    return (
        f"{tally.done} trials in {seconds / 60:.1f} min: {tally.diverged} diverged, "
        f"{tally.failed} failed"
    )


def void_timings(count: int) -> str:
    """That timings were spoiled, and what to do."""
    return f"{count} timings are void, since the machine was busy: run this again when it is calm."
