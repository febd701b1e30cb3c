"""The rule of a score's row: does a norm keep the row's bound?"""

from dataclasses import dataclass, replace

from normlab.claims import stats
from normlab.claims.looks import ONE_LOOK, Level
from normlab.claims.rules import AtLeast, Exact, Finding, Rule, Sample
from normlab.score.row import Row


@dataclass(frozen=True)
class Bound(Rule):
    """Of the row's values (n,) by seed.

    Supported where the 95 % interval of the mean lies on the bound's good side, refuted where it
    lies on the other; for an identity as `Exact`. The numbers are the values' own, in their unit.
    """

    row: Row

    @property
    def words(self) -> str:
        """What is asked, with its numbers."""
        if self.row.exact:
            return Exact(self.row.bound).words
        return f"supported if the interval is {self.row.asked}, refuted if it is beyond"

    def decide(self, values: Sample, unit: str, level: Level = ONE_LOOK) -> Finding:
        """(n,) of one norm; effects are as the row shows them."""
        row, values = self.row, stats.one_sample(values)
        if row.exact:
            return Exact(row.bound).decide(values, unit)
        # Any distance from the bound will do, so the margin is 0.
        finding = AtLeast(0.0).decide(row.sign * (values - row.bound), unit)
        mean, low, high = (float(end) for end in stats.t_interval(values))
        middle, lower, upper = row.shown(mean), row.shown(low), row.shown(high)
        text = f"{middle:.3g} {unit}"
        if finding.n == 1:
            return replace(finding, effect=middle, low=None, high=None, text=f"{text} from 1 seed")
        text += f", 95 % interval {lower:.3g} to {upper:.3g}, from {finding.n} seeds; {self.words}"
        return replace(finding, effect=middle, low=lower, high=upper, text=text)
