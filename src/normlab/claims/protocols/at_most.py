"""A rule about an effect that is claimed to be small on one side."""

from dataclasses import dataclass
from math import inf

import numpy as np

from normlab.claims.looks import ONE_LOOK, Level
from normlab.claims.rules import AtLeast, Decision, IntervalRule, Sample
from normlab.records.verdict import REFUTED, SUPPORTED, Zone


@dataclass(frozen=True)
class AtMost(IntervalRule):
    """Of effects (n,): is the effect less than `margin`?

    `AtLeast` with the verdicts the other way round: supported if the interval lies below the
    margin, refuted if it lies above, else inconclusive.
    """

    margin: float

    def __post_init__(self) -> None:
        AtLeast(self.margin)

    @property
    def words(self) -> str:
        return f"supported below {self.margin:g}, refuted above"

    def decide_all(self, values: Sample, level: Level = ONE_LOOK) -> Decision:
        above = AtLeast(self.margin).decide_all(values, level)
        other = {SUPPORTED: REFUTED, REFUTED: SUPPORTED}
        verdict = np.vectorize(lambda word: other.get(word, word), otypes=["U24"])(above.verdict)
        return above._replace(verdict=verdict)

    def zones(self) -> tuple[Zone, ...]:
        return Zone(-inf, self.margin, SUPPORTED), Zone(self.margin, inf, REFUTED)
