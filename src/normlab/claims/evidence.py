"""The evaluation trials of one claim under one profile, data set and device, as paired arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normlab.claims.stats import Values as Values  # the files of claims take it from here
from normlab.records.record import Record

ByArm = Mapping[str, Mapping[int, Record]]  # arm -> seed -> trial


class Missing(Exception):
    """Too little evidence for the claim; the message says what is missing."""


class PartMissing(Missing):
    """Too little evidence for one part: that part alone is inconclusive."""


class PartWithoutData(Missing):
    """No evidence at all for one part: that part has no data, and the others decide nothing."""


@dataclass(frozen=True)
class Evidence:
    """`records[arm][seed]`; every array is ordered by seed, so that position i is the same seed in
    each.

    Only seeds that every arm has count: no arm decides with fewer seeds than another.
    """

    records: ByArm

    @property
    def seeds(self) -> list[int]:
        """Those that every arm has, ascending."""
        # `set.intersection` of no sets at all is an error.
        by_arm = [set(by_seed) for by_seed in self.records.values()]
        return sorted(set.intersection(*by_arm)) if by_arm else []

    def trials(self, arm: str) -> list[Record]:
        """The trials of `arm` that count, by seed.

        Raises:
            Missing: no shared seeds.
        """
        if not self.seeds:
            raise Missing("no seed has a trial in every arm")
        return [self.records[arm][seed] for seed in self.seeds]

    def values(self, arm: str, metric: str = "test_accuracy") -> Values:
        """(n,) of a metric. A diverged trial counts with what it measured; a loss that is not
        finite counts as the trivial loss, which is what ignoring the input would give.

        Raises:
            Missing: no shared seeds, or the metric is not in the records.
        """
        values = [self._value(record, arm, metric) for record in self.trials(arm)]
        return np.array(values, dtype=float)

    def trained(self, arm: str) -> NDArray[np.bool_]:
        """(n,) whether a trial trained: it neither diverged nor was stuck at its end.

        Raises:
            Missing: no shared seeds.
        """
        return np.array([record.status == "ok" for record in self.trials(arm)])

    def sample(self, arm: str, metric: str = "test_accuracy") -> Values:
        """(k,) of a metric of the trials that train; (n,) of all where none does.

        What sometimes collapses has no mean that a few seeds tell: whether it trains is asked as a
        rate. An arm that trains nowhere has one outcome, and that is its value.

        Raises:
            Missing: no shared seeds, or the metric is not in the records.
        """
        values, trained = self.values(arm, metric), self.trained(arm)
        return values[trained] if trained.any() else values

    def compute(self, arm: str, label: str, measure: Callable[[Record], float]) -> Values:
        """(n,) of what `measure` makes of each record of `arm`: from its curve, say.

        `label` is the name of that quantity where the values are shown.

        Raises:
            Missing: no shared seeds.
        """
        values = np.array([measure(record) for record in self.trials(arm)], dtype=float)
        self.show(arm, label, values)
        return values

    def show(self, arm: str, label: str, values: Values) -> None:
        """Says that a rule reads `values` (n,), computed from the trials of `arm`.

        Does nothing here: `Watched` of normlab.report.panels notes them for a claim's card.
        """

    def table(self, arms: Sequence[str], metric: str = "test_accuracy") -> Values:
        """(n, len(arms)) of a metric, seeds by arms."""
        return np.stack([self.values(arm, metric) for arm in arms], axis=1)

    def difference(
        self, arm: str, baseline: str, metric: str = "test_accuracy", scale: float = 1.0
    ) -> Values:
        """(n,) of arm - baseline, paired by seed, times `scale` (100 for accuracy in points)."""
        return scale * (self.values(arm, metric) - self.values(baseline, metric))

    @staticmethod
    def _value(record: Record, arm: str, metric: str) -> float:
        value = recorded_value(record, metric)
        if value is None:
            raise Missing(f"{arm}, seed {record.seed}: no {metric} was recorded")
        return float(value)


def recorded_value(record: Record, metric: str) -> float | None:
    """A metric of a trial, the trivial loss for a loss that was not finite; None without any."""
    value = record.metrics.get(metric)
    # JSON has no NaN: a loss that was not finite is there, as null. One that is not there at all
    # was never measured, or its name is wrong.
    if value is None and metric in record.metrics and metric.endswith("loss"):
        return record.metrics.get("trivial_loss")
    return value
