"""What a claim's rules read of its evaluation trials: a panel for each metric, and for each
measure."""

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace

from normlab.claims.claim import Claim
from normlab.claims.evidence import Evidence, Values
from normlab.claims.sequence import evidence_of
from normlab.claims.trials import Point, Trials

_COUNTED = re.compile(r"(.*?)( \(\d+\))?")


@dataclass(frozen=True)
class Watched(Evidence):
    """Evidence that notes what is read: the arms by metric, and by what a measure is called and arm
    the values by seed."""

    reads: dict[str, set[str]] = field(default_factory=dict)
    measures: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)

    def values(self, arm: str, metric: str = "test_accuracy") -> Values:
        values = super().values(arm, metric)
        self.reads.setdefault(metric, set()).add(arm)
        return values

    def show(self, arm: str, label: str, values: Values) -> None:
        """Under its label; another quantity of the same arm and label gets a number."""
        name, count = label, 1
        by_seed = dict(zip(self.seeds, values.tolist(), strict=True))
        # Several parts may show one quantity, or two that differ under one label.
        while arm in self.measures.get(name, {}):
            if self.measures[name][arm] == by_seed:
                return
            count += 1
            name = f"{label} ({count})"
        self.measures.setdefault(name, {})[arm] = by_seed


@dataclass(frozen=True)
class Panel:
    """One metric of all arms that have it, or a measure of those that a rule asks for it.

    label: what is seen, with its unit. read: what a rule reads. ratios: whether the records hold
    logarithms of what is shown, so that means are geometric.
    """

    name: str
    label: str
    arms: dict[str, list[Point]]
    read: frozenset[str]
    ratios: bool = False


def panels(claim: Claim, trials: Trials) -> list[Panel]:
    """A panel for each metric that the claim's rules read; if they read nothing yet, for the
    first that is there."""
    # What a rule reads is not declared anywhere: it is decided once more, and watched.
    evidence = Watched({})
    for part in claim.parts:
        records = evidence_of(part, trials.records).records
        # Whatever was read before something was missing, or the rule broke, is shown.
        with suppress(Exception):
            part.decide(replace(evidence, records=records))
    names = list(evidence.reads)
    if not names and not evidence.measures:
        names = _first_metric(trials)
    result = [_metric_panel(claim, trials, name, evidence) for name in names]
    for label, by_arm in evidence.measures.items():
        result.append(_measure_panel(claim, trials, label, by_arm))
    return [panel for panel in result if panel.arms]


def _first_metric(trials: Trials) -> list[str]:
    recorded = [name for record in trials.all()[:1] for name in record.metrics]
    # What trainings are judged by comes before what a claim's own trial recorded first.
    preferred = ("test_accuracy", "test_loss", *recorded)
    return [name for name in preferred if name in recorded][:1]


def _metric_panel(claim: Claim, trials: Trials, name: str, evidence: Watched) -> Panel:
    arms = {}
    metric = claim.metric(name)
    for arm in claim.arms:
        points = trials.points(arm.name, metric)
        if points:
            arms[arm.name] = points
    read = frozenset(evidence.reads.get(name, ()))
    return Panel(name, metric.label, arms, read, metric.base is not None)


def _measure_panel(
    claim: Claim, trials: Trials, label: str, by_arm: dict[str, dict[int, float]]
) -> Panel:
    arms = {}
    for arm, by_seed in by_arm.items():
        records = trials.records[arm]
        arms[arm] = [
            Point(seed, value, records[seed].status == "diverged")
            for seed, value in by_seed.items()
        ]
    # "label (2)": another quantity of the same label.
    name, count = _COUNTED.fullmatch(label).groups()  # type: ignore[union-attr]
    return Panel(label, claim.metric(name).label + (count or ""), arms, frozenset(arms))
