"""The evaluation trials of one claim under one profile, data set and device, as paired arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normlab.records.record import Record


class Missing(Exception):
    """Too little evidence for a rule; the message says what is missing."""


@dataclass(frozen=True)
class Evidence:
    """`records[arm][seed]`; every array that it gives is ordered by seed, so that position i is the same seed in each.

    Only seeds that every arm has count: no arm decides with fewer seeds than another.
    """

    records: Mapping[str, Mapping[int, Record]]
    seeds_wanted: int

    @property
    def seeds(self) -> list[int]:
        shared = (
            set.intersection(*(set(by_seed) for by_seed in self.records.values()))
            if self.records
            else set()
        )
        return sorted(shared)

    def values(self, arm: str, metric: str = "test_accuracy") -> np.ndarray:
        """(n,) of a metric. A diverged trial counts with what it measured; a loss that is not finite counts as the
        trivial loss, which is what ignoring the input would give.

        Raises:
            Missing: no shared seeds, or the metric is not in the records.
        """
        if not self.seeds:
            raise Missing("no seed has a trial in every arm")
        return np.array(
            [self._value(self.records[arm][seed], arm, metric) for seed in self.seeds], dtype=float
        )

    def compute(self, arm: str, measure: Callable[[Record], float]) -> np.ndarray:
        """(n,) of what `measure` makes of each record of `arm`: from its curve, say.

        Raises:
            Missing: no shared seeds.
        """
        if not self.seeds:
            raise Missing("no seed has a trial in every arm")
        return np.array([measure(self.records[arm][seed]) for seed in self.seeds], dtype=float)

    def table(self, arms: Sequence[str], metric: str = "test_accuracy") -> np.ndarray:
        """(n, len(arms)) of a metric, seeds by arms."""
        return np.stack([self.values(arm, metric) for arm in arms], axis=1)

    def difference(
        self, arm: str, baseline: str, metric: str = "test_accuracy", scale: float = 1.0
    ) -> np.ndarray:
        """(n,) of arm - baseline, paired by seed, times `scale` (100 for accuracy in points)."""
        return scale * (self.values(arm, metric) - self.values(baseline, metric))

    @staticmethod
    def _value(record: Record, arm: str, metric: str) -> float:
        value = record.metrics.get(metric)
        if value is None and metric.endswith("loss"):
            value = record.metrics.get("trivial_loss")
        if value is None:
            raise Missing(f"{arm}, seed {record.seed}: no {metric} was recorded")
        return float(value)
