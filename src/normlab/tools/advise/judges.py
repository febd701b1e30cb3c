"""Which way a verdict points.

1: as the table's entry says; -1: the opposite; 0: neither; None: nothing was decided. A direction
is never assumed: `refuted` alone says that an effect is not as large as claimed, and only an
interval on the other side says that it is the opposite.
"""

from collections.abc import Callable

from normlab.records.verdict import PARTLY, REFUTED, SUPPORTED, PartVerdict
from normlab.tools.advise.situation import Situation

DECIDED = (SUPPORTED, PARTLY, REFUTED)


def by_margin(part: PartVerdict, situation: Situation) -> int | None:
    """`AtLeast`: the entry's favourite is better by a margin."""
    return _claimed_or_opposite(part, 0.0)


def by_ratio(part: PartVerdict, situation: Situation) -> int | None:
    """`Between` of a ratio that is above 1 where the entry's favourite is better."""
    return _claimed_or_opposite(part, 1.0)


def by_time(part: PartVerdict, situation: Situation) -> int | None:
    """A ratio of times that is below 1 where the entry's favourite is faster."""
    return _claimed_or_opposite(part, 1.0, less_is_better=True)


def by_identity(part: PartVerdict, situation: Situation) -> int | None:
    """`Exact`, or any rule in which refuted means that it is not so."""
    # Identities have errors and no interval, so that the verdict alone gives the direction.
    return {SUPPORTED: 1, PARTLY: 1, REFUTED: -1}.get(part.verdict)


def by_equivalence(part: PartVerdict, situation: Situation) -> int | None:
    """`Within` of a difference that is above 0 where the entry's favourite is better."""
    if part.verdict not in DECIDED:
        return None
    # Equal within the margin: nobody is better, whatever the interval leaves of a difference.
    return 0 if part.verdict == SUPPORTED else _side(part, 0.0)


def no_worse(part: PartVerdict, situation: Situation) -> int | None:
    """`Between` that allows a ratio a little above 1: only beyond that is the favourite better."""
    if part.verdict not in DECIDED:
        return None
    return _side(part, 1.0) if part.verdict == REFUTED else 0


def too_deep(depth: int) -> Callable[[PartVerdict, Situation], int | None]:
    """`Rate` of those of `depth` layers that train, claimed to be low: for such and deeper ones."""

    def judge(part: PartVerdict, situation: Situation) -> int | None:
        if part.verdict not in DECIDED:
            return None
        return int(part.verdict == SUPPORTED and situation.depth >= depth)

    return judge


def as_said(part: PartVerdict, situation: Situation) -> int | None:
    """Decided either way: for a note whose sentence the verdict completes."""
    return 0 if part.verdict in DECIDED else None


def _claimed_or_opposite(
    part: PartVerdict, neutral: float, *, less_is_better: bool = False
) -> int | None:
    side = -_side(part, neutral) if less_is_better else _side(part, neutral)
    if part.verdict in (SUPPORTED, PARTLY):
        # A claim that is (partly) supported never turns against itself: 0 makes it a note.
        return max(side, 0)
    return min(side, 0) if part.verdict == REFUTED else None


def _side(part: PartVerdict, neutral: float) -> int:
    """On which side of `neutral` the whole interval lies; 0 if it holds it, or is not there."""
    if part.low is None or part.high is None:
        return 0
    return int(part.low > neutral) - int(part.high < neutral)
