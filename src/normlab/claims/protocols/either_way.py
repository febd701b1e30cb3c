"""A rule about a change whose sign nobody claims."""

from dataclasses import dataclass
from math import inf

import numpy as np

from normlab.claims.looks import ONE_LOOK, Level
from normlab.claims.rules import Decision, IntervalRule, Sample, Within
from normlab.records.verdict import REFUTED, SUPPORTED, Zone


@dataclass(frozen=True)
class Changes(IntervalRule):
    """Of effects (n,): is the effect more than `margin`, either way?

    `Within` with the verdicts the other way round: supported if the interval lies wholly outside of
    +-margin, refuted if two one-sided tests show that the effect is inside.
    """

    margin: float

    def __post_init__(self) -> None:
        Within(self.margin)

    @property
    def words(self) -> str:
        return f"supported beyond {self.margin:g} either way, refuted within"

    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        within = Within(self.margin).decide_all(values, level)
        other = {SUPPORTED: REFUTED, REFUTED: SUPPORTED}
        verdict = np.vectorize(lambda word: other.get(word, word), otypes=["U24"])(within.verdict)
        # The p-value is that of the same two tests.
        return within._replace(verdict=verdict)

    def zones(self) -> tuple[Zone, ...]:
        return (
            Zone(-inf, -self.margin, SUPPORTED),
            Zone(-self.margin, self.margin, REFUTED),
            Zone(self.margin, inf, SUPPORTED),
        )
