"""What a claim's rules read of its evaluation trials: a panel for each metric, and for each measure."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from normlab.claims.claim import Claim
from normlab.claims.evidence import Evidence, Missing
from normlab.claims.trials import Point, Trials
from normlab.records.record import Record
from normlab.report.words import metric_label


@dataclass(frozen=True)
class Watched(Evidence):
    """Evidence that notes what is read: by metric, or by what a measure is called, and arm, the values by seed."""

    reads: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    measures: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def values(self, arm: str, metric: str = "test_accuracy") -> np.ndarray:
        values = super().values(arm, metric)
        self.reads.setdefault(metric, {})[arm] = values
        return values

    def compute(self, arm: str, measure: Callable[[Record], float]) -> np.ndarray:
        values = super().compute(arm, measure)
        name = getattr(measure, "__name__", "<lambda>").strip("_").replace("_", " ")
        name = "measured from each record" if name == "<lambda>" else name
        label, count = name, 1
        while arm in self.measures.get(label, {}) and not np.array_equal(
            self.measures[label][arm], values
        ):
            count += 1
            label = f"{name} ({count})"
        self.measures.setdefault(label, {})[arm] = values
        return values


@dataclass(frozen=True)
class Panel:
    """One metric of all arms that have it, or a measure of those that a rule asks for it. `read`: what a rule reads."""

    name: str
    label: str
    arms: dict[str, list[Point]]
    read: frozenset[str]


def panels(claim: Claim, trials: Trials) -> list[Panel]:
    """A panel for each metric that the claim's rules read; if they read nothing yet, for the first that is there."""
    evidence = Watched(trials.records, len(trials.seeds))
    for part in claim.parts:
        try:
            if trials.seeds:
                part.decide(evidence)
        except Missing:
            continue
    result = []
    recorded = [name for record in trials.all()[:1] for name in record.metrics]
    first = [name for name in ("test_accuracy", "test_loss", *recorded) if name in recorded][:1]
    for metric in evidence.reads or ([] if evidence.measures else first):
        arms = {
            arm.name: points for arm in claim.arms if (points := trials.points(arm.name, metric))
        }
        result.append(
            Panel(metric, metric_label(metric), arms, frozenset(evidence.reads.get(metric, ())))
        )
    for name, by_arm in evidence.measures.items():
        arms = {}
        for arm, values in by_arm.items():
            records = [trials.records[arm][seed] for seed in trials.seeds]
            pairs = zip(records, values, strict=True)
            arms[arm] = [
                Point(record.seed, float(value), record.status == "diverged")
                for record, value in pairs
            ]
        result.append(Panel(name, name, arms, frozenset(arms)))
    return [panel for panel in result if panel.arms]
