"""The evaluation trials behind one verdict, and what its rules read of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from normlab.claims.claim import Claim
from normlab.claims.evidence import Evidence, Missing
from normlab.claims.plan import plan
from normlab.claims.stats import t_interval
from normlab.records.record import Record
from normlab.records.store import DONE, Store
from normlab.report.words import is_share, metric_label


@dataclass(frozen=True)
class Point:
    """One evaluation trial's value. Not `counted`: its seed is missing in another arm, so no rule reads it."""

    seed: int
    value: float
    diverged: bool = False
    counted: bool = True


@dataclass
class Trials:
    """Evaluation trials by arm and seed (those of the verdict's device), and how they came about."""

    records: dict[str, dict[int, Record]] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=list)  # that every arm has
    tuning: dict[str, dict[float, list[Record]]] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)  # of the first seed of each arm
    failures: list[str] = field(default_factory=list)

    def points(self, arm: str, metric: str) -> list[Point]:
        """A metric of an arm's trials by seed, accuracy in per cent; as in `Evidence`, a loss that is not finite counts
        as the trivial loss. Trials without the metric are left out."""
        points = []
        for seed, record in sorted(self.records.get(arm, {}).items()):
            value = record.metrics.get(metric)
            if value is None and metric.endswith("loss"):
                value = record.metrics.get("trivial_loss")
            if isinstance(value, int | float) and math.isfinite(value):
                value = 100 * value if is_share(metric) else float(value)
                points.append(Point(seed, value, record.status == "diverged", seed in self.seeds))
        return points

    def all(self) -> list[Record]:
        """Every evaluation trial."""
        return [
            record for by_seed in self.records.values() for _, record in sorted(by_seed.items())
        ]


def collect(claim: Claim, row: Mapping[str, Any], store: Store) -> Trials:
    """The trials that `row`, the claim's verdict, was decided by."""
    if row["profile"] is None:
        return Trials()
    protocol, known = claim.protocols[row["profile"]], store.done()
    step = plan(claim, protocol, known)
    planned = {key for by_seed in step.evaluation.values() for key in by_seed.values()}
    again = plan(
        claim, protocol, {key: record for key, record in known.items() if key not in planned}
    )
    trials = Trials(
        records={
            arm.name: {
                seed: known[key]
                for seed, key in step.evaluation.get(arm.name, {}).items()
                if key in known and known[key].device == row["device"]
            }
            for arm in claim.arms
        },
        tuning={
            arm: {
                rate: [known[key] for key in keys if key in known] for rate, keys in rates.items()
            }
            for arm, rates in step.tuning.items()
        },
        commands={job.arm: job.command for job in reversed(again.jobs) if job.stage == "evaluate"},
        failures=[
            f"{record.arm}, seed {record.seed}: {record.status}: {record.message}"
            for record in sorted(
                store.records.values(), key=lambda record: (record.arm or "", record.seed)
            )
            if record.key in planned and record.status not in DONE
        ],
    )
    trials.seeds = Evidence(trials.records, protocol.seeds).seeds
    return trials


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


@dataclass(frozen=True)
class Summary:
    """Mean of the counted points and its 95 % t interval (None below two)."""

    n: int
    mean: float
    low: float | None
    high: float | None


def summary(points: list[Point]) -> Summary | None:
    """Of the points that count; None without any."""
    values = [point.value for point in points if point.counted]
    if not values:
        return None
    if len(values) == 1:
        return Summary(1, values[0], None, None)
    mean, low, high = t_interval(np.array(values))
    return Summary(len(values), float(mean), float(low), float(high))
