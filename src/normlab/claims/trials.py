"""The evaluation trials that decided one claim, by arm and seed, and the mean of their values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from normlab.claims.claim import Claim
from normlab.claims.design import Design, Progress
from normlab.claims.evidence import ByArm, recorded_value
from normlab.claims.metrics import Metric
from normlab.claims.metrics import metric as metric_of
from normlab.claims.sequence import evidence_of
from normlab.claims.stats import t_interval
from normlab.records.record import Record
from normlab.records.store import DONE, Store
from normlab.records.verdict import Verdict


@dataclass(frozen=True)
class Point:
    """One evaluation trial's value.

    Not `counted`: no rule reads it, since some other arm of each part that does lacks the seed.
    """

    seed: int
    value: float
    diverged: bool = False
    counted: bool = True


@dataclass
class Trials:
    """Evaluation trials by arm and seed (those of the verdict's device), and how they came
    about."""

    records: dict[str, dict[int, Record]] = field(default_factory=dict)
    # By arm: those that every other arm of a part has, too.
    seeds: dict[str, frozenset[int]] = field(default_factory=dict)
    # By arm and learning rate, chosen by its seed or not.
    tried: dict[str, dict[float, list[Record]]] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)  # of the first seed of each arm
    failures: list[str] = field(default_factory=list)

    def counts(self, arm: str, seed: int) -> bool:
        """Whether a rule may read that trial."""
        return seed in self.seeds.get(arm, ())

    def points(self, arm: str, metric: str | Metric) -> list[Point]:
        """A metric of an arm's trials by seed, as it is shown: by its name, accuracy in per cent.

        As in `Evidence`, a loss that is not finite counts as the trivial loss. Trials without the
        metric are left out.
        """
        points = []
        known = metric_of(metric) if isinstance(metric, str) else metric
        for seed, record in sorted(self.records.get(arm, {}).items()):
            value = recorded_value(record, known.name)
            if isinstance(value, int | float) and math.isfinite(value):
                shown = known.shown(float(value))
                points.append(
                    Point(seed, shown, record.status == "diverged", self.counts(arm, seed))
                )
        return points

    def trivial_loss(self) -> float | None:
        """Of a model that ignores its input, in nats; None where the trials have none."""
        losses = [record.metrics.get("trivial_loss") for record in self.all()]
        return losses[0] if losses and isinstance(losses[0], float) else None

    def all(self, *, counted: bool = False) -> list[Record]:
        """Every evaluation trial, or every one that counts, by arm and then by seed."""
        records = []
        for arm, by_seed in self.records.items():
            kept = [seed for seed in sorted(by_seed) if not counted or self.counts(arm, seed)]
            records += [by_seed[seed] for seed in kept]
        return records


def collect(claim: Claim, verdict: Verdict, store: Store) -> Trials:
    """The trials that `verdict` was decided by."""
    if verdict.profile is None:
        return Trials()
    protocol, known = claim.protocols[verdict.profile], store.done()
    progress = Design(claim, protocol).progress(store.tried())
    jobs = [job for by_seed in progress.evaluation.values() for job in by_seed.values()]
    trials = Trials(
        records=_evaluation(claim, progress, known, verdict.device or ""),
        tried=_tried(progress, known),
        # Reversed: the command of an arm's first seed is written last, and stays.
        commands={job.arm: job.command for job in reversed(jobs)},
        failures=_failures({job.key for job in jobs}, store),
    )
    trials.seeds = counted_seeds(claim, trials.records)
    return trials


def counted_seeds(claim: Claim, records: ByArm) -> dict[str, frozenset[int]]:
    """By arm, the seeds that all arms have of a part that reads it; all of an arm that none reads.

    Clauses are decided at looks of their own, so that arms may have different numbers of seeds.
    """
    seeds: dict[str, frozenset[int]] = {}
    for part in claim.parts:
        evidence = evidence_of(part, records)
        for arm in evidence.records:
            seeds[arm] = seeds.get(arm, frozenset()).union(evidence.seeds)
    return {arm: seeds.get(arm, frozenset(by_seed)) for arm, by_seed in records.items()}


def _evaluation(
    claim: Claim, progress: Progress, known: Mapping[str, Record], device: str
) -> dict[str, dict[int, Record]]:
    """By arm and seed, those of `device` alone."""
    recorded = progress.recorded(known)
    records: dict[str, dict[int, Record]] = {}
    for arm in claim.arms:
        by_seed = recorded.get(arm.name, {})
        records[arm.name] = {s: record for s, record in by_seed.items() if record.device == device}
    return records


def _tried(progress: Progress, known: Mapping[str, Record]) -> dict[str, dict[float, list[Record]]]:
    """By arm and learning rate, ascending; nothing for an arm that chooses none."""
    tried: dict[str, dict[float, list[Record]]] = {}
    for arm, by_seed in progress.tried.items():
        found: dict[float, list[Record]] = {}
        for by_rate in by_seed.values():
            for rate, job in by_rate.items():
                if rate is not None and job.key in known:
                    found.setdefault(rate, []).append(known[job.key])
        tried[arm] = dict(sorted(found.items()))
    return tried


def _failures(planned: set[str], store: Store) -> list[str]:
    """What was tried and gave no evidence, in words, by arm and seed."""
    records = [record for record in store.records.values() if record.key in planned]
    records.sort(key=lambda record: (record.arm or "", record.seed))
    return [
        f"{record.arm}, seed {record.seed}: {record.status}: {record.message}"
        for record in records
        if record.status not in DONE
    ]


@dataclass(frozen=True)
class Summary:
    """Mean of the counted points and its 95 % t interval (None below two)."""

    n: int
    mean: float
    low: float | None
    high: float | None


def summary(points: list[Point], *, geometric: bool = False) -> Summary | None:
    """Of the points that count; None without any. geometric: of their logarithms, taken back."""
    values = [point.value for point in points if point.counted]
    if not values:
        return None
    # The t interval of one value is infinite: there is nothing to draw.
    if len(values) == 1:
        return Summary(1, values[0], None, None)
    if geometric:
        mean, low, high = np.exp(t_interval(np.log(values)))
    else:
        mean, low, high = t_interval(np.array(values))
    return Summary(len(values), float(mean), float(low), float(high))
