"""A rule about a gap and one of its reasons: is the reason most of it?"""

from dataclasses import dataclass

import numpy as np

from normlab.claims.rules.differences import AtLeast
from normlab.claims.rules.rule import Decision, IntervalRule, check_margin
from normlab.claims.stats import Values
from normlab.records.verdict import INCONCLUSIVE, PARTLY, REFUTED, SUPPORTED, Zone

MOST, SOME = 0.5, 0.2  # of the gap


@dataclass(frozen=True)
class MainReason(IntervalRule):
    """Of (n, 2), a gap and what one reason costs, in one unit: is the cost most of the gap?

    Without a gap there is nothing to explain: where `AtLeast(margin)` refutes the gap or is
    inconclusive about it, so is this. Else supported if cost - gap / 2 lies above 0 with its 95 %
    interval, partly supported if cost - gap / 5 does, and refuted if that lies below 0. Both the
    gap and the share must be shown, so the larger p-value counts (Berger, 1982). The effect is the
    gap.
    """

    margin: float
    dimensions = 2

    def __post_init__(self) -> None:
        check_margin(self.margin)

    @property
    def words(self) -> str:
        most, some = (f"{100 * share:g} %" for share in (MOST, SOME))
        supported = f"supported from a gap of {self.margin:g} of which the cost is over {most}"
        refuted = f"refuted under {some} or with a gap under {self.margin / 2:g}"
        return f"{supported}, partly supported over {some}, {refuted}"

    def decide_all(self, values: Values) -> Decision:
        # cost - share x gap, not cost / gap: a ratio of noisy numbers has no t interval.
        gap, cost = values[:, 0], values[:, 1]
        decision = AtLeast(self.margin).decide_all(gap)
        most, some = (AtLeast(0.0).decide_all(cost - share * gap) for share in (MOST, SOME))
        there = np.isin(decision.verdict, (SUPPORTED, PARTLY))
        is_most, is_some = most.verdict == SUPPORTED, some.verdict == SUPPORTED
        verdict = np.select(
            [~there, is_most, is_some, some.verdict == REFUTED],
            [decision.verdict, SUPPORTED, PARTLY, REFUTED],
            INCONCLUSIVE,
        )
        shown = np.maximum(decision.p, np.where(is_most, most.p, some.p))
        p = np.where(there & (is_most | is_some), shown, decision.p)
        return decision._replace(verdict=verdict, p=p)

    def zones(self) -> tuple[Zone, ...]:
        """Of the gap alone: an effect in the zone of support may still have another reason."""
        return AtLeast(self.margin).zones()
