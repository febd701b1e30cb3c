"""An entry of the table that says what a verdict means for norms, and when.

Nothing here states a result: every number comes from the verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass

from normlab.records.verdict import PartVerdict
from normlab.tools.advise.conditions import Condition, always
from normlab.tools.advise.situation import Situation

Judge = Callable[[PartVerdict, Situation], int | None]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One part of a claim, or with `part` None the whole claim, as a reason.

    It bears on a situation `when` it has the norm or the question, and is a reason where that is
    `given` as it was measured, too. Else it is listed as missing, with what it `lacks`.

    Its sentence `says` holds if the judge finds that the verdict points that way; `opposite` if
    it points the other way, and then the sides are swapped; `neither` is a note without a side.
    An empty sentence is left out. `{effect}` in a sentence is the effect of the part, in words.
    """

    slug: str
    part: str | None
    when: Condition
    judge: Judge
    favours: tuple[str, ...] = ()  # norms, or placements
    against: tuple[str, ...] = ()
    says: str = ""
    opposite: str = ""
    neither: str = ""
    on: str = "norms"  # or placements
    given: Condition = always
    lacks: str = ""  # what the verdict does not say of a situation that is not `given`
