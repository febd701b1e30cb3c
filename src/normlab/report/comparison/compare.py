"""Groups of runs that differ in nothing but their seed: means, intervals, differences.

By the statistics of the claims: Student's interval of the mean, and for a difference that of the
paired differences, seed by seed. A diverged run counts with what it measured, and a loss that is
not finite as that of a network that ignores its input.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from normlab.claims.evidence import recorded_value
from normlab.claims.metrics import Better
from normlab.claims.metrics import metric as metric_of
from normlab.claims.trials import Point, Summary, summary
from normlab.errors import NormLabError, choices
from normlab.records.record import Record
from normlab.records.store import DONE
from normlab.report.comparison.settings import Settings, settings_of, varied

METRICS = ("test_accuracy", "test_loss")
# What is paired: the seed, and what else differs between the runs of a group.
Unit = tuple[str, ...]


@dataclass
class Group:
    """Runs of the same settings. failed: how many gave no result; they count in nothing else."""

    settings: Settings
    runs: dict[Unit, Record] = field(default_factory=dict)
    failed: int = 0
    values: dict[str, Summary | None] = field(default_factory=dict)  # by metric
    differences: dict[str, Summary | None] = field(default_factory=dict)
    baseline: bool = False

    @property
    def name(self) -> str:
        """`groupnorm, optim.lr=0.1`: a choice without the name of its group."""
        words = [
            value if "." not in name else f"{name}={value}" for name, value in self.settings.items()
        ]
        return ", ".join(words) or "all runs"

    @property
    def diverged(self) -> int:
        return sum(record.status == "diverged" for record in self.runs.values())

    @property
    def seconds(self) -> float:
        """Of a run, on average; NaN without runs."""
        times = [record.duration_s for record in self.runs.values()]
        return sum(times) / len(times) if times else math.nan

    def points(self, metric: str) -> dict[Unit, Point]:
        """A metric of the runs that have it, accuracy in per cent."""
        points = {}
        for unit, record in self.runs.items():
            value = recorded_value(record, metric)
            if isinstance(value, int | float) and math.isfinite(value):
                scaled = metric_of(metric).scale * value
                points[unit] = Point(record.seed, scaled, record.status == "diverged")
        return points


@dataclass(frozen=True)
class Comparison:
    """Groups, the best first; `names` are the settings that tell them apart.

    pooled: other settings in which the runs of a group differ. against: the settings of what the
    differences are to, empty without them.
    """

    names: tuple[str, ...]
    metrics: tuple[str, ...]
    groups: tuple[Group, ...]
    pooled: tuple[str, ...] = ()
    against: Settings = field(default_factory=dict)
    failures: tuple[Record, ...] = ()


def compare(
    records: Sequence[Record],
    by: Sequence[str] = (),
    against: Sequence[str] = (),
    metrics: Sequence[str] = METRICS,
) -> Comparison:
    """Groups of `records`, one of each trial.

    Args:
        by: settings to group by; without any, all in which the runs differ.
        against: `setting=value`s that name the baseline. Where several groups have them, each group
            is compared with that which has its other settings.
        metrics: the first decides the order.

    Raises:
        NormLabError: an unknown setting, value or metric; a baseline that is not one.
    """
    of_runs = [settings_of(record) for record in records]
    differing = varied(of_runs)
    known = sorted(set[str]().union(*of_runs))
    for name in by:
        if name not in known:
            raise choices("setting", name, [*differing, *(n for n in known if n not in differing)])
    names = tuple(by or differing)
    pooled = tuple(name for name in differing if name not in names)
    groups: dict[Unit, Group] = {}
    for record, settings in zip(records, of_runs, strict=True):
        own = {name: settings[name] for name in names if name in settings}
        group = groups.setdefault(tuple(own.get(name, "") for name in names), Group(own))
        if record.status in DONE:
            group.runs[(str(record.seed), *(settings.get(name, "") for name in pooled))] = record
        else:
            group.failed += 1
    done = [record for record in records if record.status in DONE]
    failures = [record for record in records if record.status not in DONE]
    kept = _measured(metrics, done)
    for group in groups.values():
        group.values = {name: summary([*group.points(name).values()]) for name in kept}
    wanted = _parsed(against)
    for group in groups.values() if wanted else ():
        _set_differences(group, _baseline(group, wanted, [*groups.values()]), kept)
    return Comparison(
        names,
        kept,
        tuple(sorted(groups.values(), key=lambda group: _rank(group, kept))),
        pooled,
        wanted,
        tuple(sorted(failures, key=lambda record: record.seed)),
    )


def _measured(metrics: Sequence[str], records: Sequence[Record]) -> tuple[str, ...]:
    """Raises NormLabError for a metric that no record has, where there are records."""
    there = sorted(set[str]().union(*(record.metrics for record in records)))
    for name in metrics if records else ():
        if name not in there:
            raise choices("metric", name, there)
    return tuple(metrics)


def _rank(group: Group, metrics: Sequence[str]) -> tuple[float, float]:
    """By the first metric, the best first; a group without values last. Ties keep their order."""
    value = group.values[metrics[0]] if metrics else None
    if value is None:
        return 1.0, 0.0
    better = metric_of(metrics[0])
    return 0.0, 0.0 if better.better is Better.neither else -better.score(value.mean)


def _parsed(against: Sequence[str]) -> dict[str, str]:
    wanted = {}
    for words in against:
        name, equals, value = words.partition("=")
        if not equals:
            raise NormLabError(f"--against {words}: give SETTING=VALUE, as norm=batchnorm.")
        wanted[name] = value
    return wanted


def _baseline(group: Group, wanted: Settings, groups: Sequence[Group]) -> Group | None:
    """The one group that has `wanted`; of several, that with the other settings of `group`.

    Raises:
        NormLabError: no group has them, or several that are not told apart.
    """
    fitting = list(groups)
    for name, value in wanted.items():
        there = list(dict.fromkeys(one.settings[name] for one in groups if name in one.settings))
        if not there:
            told = dict.fromkeys(key for one in groups for key in one.settings)
            raise choices("setting of --against", name, told)
        if value not in there:
            raise choices(f"{name} of --against", value, there)
        fitting = [one for one in fitting if one.settings.get(name) == value]
    if not fitting:
        words = " ".join(f"{name}={value}" for name, value in wanted.items())
        raise NormLabError(f"--against {words}: no group of runs has all of these.")
    if len(fitting) > 1:
        # Options of what is exchanged are no settings that both sides have.
        rest = _others(group, wanted)
        fitting = [one for one in fitting if _others(one, wanted) == rest]
    if len(fitting) > 1:
        raise NormLabError(
            f"--against fits {len(fitting)} groups ({'; '.join(one.name for one in fitting)}): "
            "name more settings."
        )
    for one in fitting:
        one.baseline = True
    return fitting[0] if fitting else None


def _others(group: Group, wanted: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in group.settings.items()
        if name not in wanted and name.partition(".")[0] not in wanted
    }


def _set_differences(group: Group, baseline: Group | None, metrics: Sequence[str]) -> None:
    for name in metrics:
        if baseline is None or baseline is group:
            group.differences[name] = None
            continue
        own, other = group.points(name), baseline.points(name)
        paired = [
            Point(own[unit].seed, own[unit].value - other[unit].value)
            for unit in own
            if unit in other
        ]
        group.differences[name] = summary(paired)
