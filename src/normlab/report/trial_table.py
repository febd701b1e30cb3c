"""Every evaluation trial of a claim in a row: what the rules read of it, what its seed tried."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from normlab.claims.claim import Claim
from normlab.claims.evidence import recorded_value
from normlab.claims.trials import Trials
from normlab.records.record import Record
from normlab.records.words import number
from normlab.report.panels import Panel

COLUMNS = 4  # more do not fit beside each other; the strips have them all


@dataclass(frozen=True)
class TrialRow:
    """One trial in words. values: one for each column, "" where it has none."""

    seed: int
    values: list[str]
    rate: str
    tried: str
    status: str
    seconds: str


@dataclass(frozen=True)
class ArmTrials:
    """The trials of an arm, by seed."""

    arm: str
    rows: list[TrialRow]


@dataclass(frozen=True)
class TrialTable:
    """columns: what the rules read. tried: what a rate was chosen by; "" where none was chosen."""

    columns: list[str] = field(default_factory=list)
    tried: str = ""
    groups: list[ArmTrials] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Of trials."""
        return sum(len(group.rows) for group in self.groups)


def trial_table(claim: Claim, trials: Trials, panels: Sequence[Panel]) -> TrialTable:
    """In the order of arms and seeds; empty without trials."""
    shown = panels[:COLUMNS]
    values = [_by_arm_and_seed(panel) for panel in shown]
    tried = {arm: _by_seed(by_rate) for arm, by_rate in trials.tried.items()}
    groups = []
    for arm, by_seed in trials.records.items():
        rows = []
        for seed, record in sorted(by_seed.items()):
            numbers = [column.get((arm, seed)) for column in values]
            cells = ["" if value is None else number(value, 4) for value in numbers]
            rates = tried.get(arm, {}).get(seed, {})
            rows.append(_row(claim, trials, record, cells, rates))
        if rows:
            groups.append(ArmTrials(arm, rows))
    word = claim.metric(claim.tuning_metric).label if any(tried.values()) else ""
    return TrialTable([panel.label for panel in shown], word, groups)


def _by_arm_and_seed(panel: Panel) -> dict[tuple[str, int], float]:
    points = {}
    for arm, of_arm in panel.arms.items():
        points.update({(arm, point.seed): point.value for point in of_arm})
    return points


def _by_seed(by_rate: dict[float, list[Record]]) -> dict[int, dict[float, Record]]:
    found: dict[int, dict[float, Record]] = {}
    for rate, records in by_rate.items():
        for record in records:
            found.setdefault(record.seed, {})[rate] = record
    return found


def _row(
    claim: Claim, trials: Trials, record: Record, values: list[str], rates: dict[float, Record]
) -> TrialRow:
    outcome = "ok" if record.status == "ok" else f"{record.status} {record.message or ''}".strip()
    if not trials.counts(record.arm or "", record.seed):
        outcome += ", not counted"
    tried = [f"{rate:g}: {_score(claim, one)}" for rate, one in rates.items()]
    chosen = record.section("optim").get("lr") if rates else None
    return TrialRow(
        seed=record.seed,
        values=values,
        rate=f"{chosen:g}" if isinstance(chosen, float) else "",
        tried="; ".join(tried),
        status=outcome,
        seconds=number(record.duration_s, 2),
    )


def _score(claim: Claim, record: Record) -> str:
    """What a rate is chosen by."""
    if record.status != "ok":
        return record.status
    value = recorded_value(record, claim.tuning_metric)
    return "none" if value is None else number(claim.metric(claim.tuning_metric).shown(value), 3)
