"""What the page says of each claim, from the claim, its verdict and its trials; the template only lays it out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.registry import experiment_file
from normlab.claims.trials import Trials, collect
from normlab.records.places import EXPERIMENTS
from normlab.records.record import Record
from normlab.records.store import DONE, Store
from normlab.records.verdict import NO_DATA, PartVerdict
from normlab.records.words import device_label, effect, number
from normlab.report.figures import draw
from normlab.report.panels import panels
from normlab.report.strips import arm_strips, effect_strip
from normlab.report.words import CLASSES, data_label


@dataclass(frozen=True)
class Clause:
    """A part of a claim with its verdict."""

    name: str
    statement: str
    rule: str
    verdict: str
    effect: str
    text: str
    strip: Markup


@dataclass(frozen=True)
class ArmRow:
    """How an arm was run."""

    name: str
    rate: str
    tried: str
    trials: str
    command: str


@dataclass(frozen=True)
class Card:
    """One claim on the page. `notes`: what is missing or stale, and trials that failed."""

    claim: Claim
    verdict: str
    clauses: list[Clause]
    n: int
    profile: str
    device: str
    others: list[tuple[str, str]]  # verdict, and of which other device
    data: str
    figure: Markup
    strips: list[Markup]
    arms: list[ArmRow]
    commands: list[str]
    cost: str
    made_by: str
    files: list[tuple[str, int]]
    notes: list[str]

    @property
    def evidence(self) -> str:
        """Where the verdict comes from, in one line."""
        return " · ".join(
            filter(None, [self.profile and f"{self.profile} profile on {self.device}", self.data])
        )

    @property
    def file(self) -> str:
        """The experiment file, below experiments/."""
        path = experiment_file(self.claim.slug)
        return (
            path.relative_to(EXPERIMENTS).as_posix()
            if path
            else f"{self.claim.slug.replace('-', '_')}.py"
        )

    @property
    def kind(self) -> str:
        return CLASSES[self.verdict]


def build_card(claim: Claim, row: Mapping[str, Any], store: Store) -> Card:
    """Of a claim and its row of `verdicts`."""
    trials = collect(claim, row, store)
    counted = [record for record in trials.all() if record.seed in trials.seeds]
    tuned = [
        record
        for rates in trials.tuning.values()
        for records in rates.values()
        for record in records
    ]
    return Card(
        claim=claim,
        verdict=row["verdict"],
        clauses=[_clause(part) for part in row["parts"]],
        n=row["n"],
        profile=row["profile"] or "",
        device=device_label(row["device"]),
        others=[(other["verdict"], _elsewhere(other)) for other in row["others"]],
        data="; ".join(sorted({data_label(record) for record in counted})),
        figure=draw(claim, trials),
        strips=[arm_strips(panel) for panel in panels(claim, trials)],
        arms=[_arm(name, trials, row["learning_rates"].get(name)) for name in trials.records],
        commands=[
            f"normlab run {claim.slug} --profile {name}"
            for name in ("cpu", "gpu")
            if name in claim.protocols
        ],
        cost=_cost(trials.all(), tuned),
        made_by=_made_by(counted),
        files=sorted(
            Counter(record.claim for record in (*trials.all(), *tuned) if record.claim).items()
        ),
        notes=_notes(row, trials),
    )


def _elsewhere(other: Mapping[str, Any]) -> str:
    return f"{other['profile']} profile on {device_label(other['device'])}, n = {other['n']}"


def _clause(part: Mapping[str, Any]) -> Clause:
    strip = effect_strip(part)
    return Clause(
        part["name"],
        part["statement"],
        part["rule"],
        part["verdict"],
        effect(PartVerdict(**part)),
        part["text"],
        strip,
    )


def _arm(name: str, trials: Trials, rate: float | None) -> ArmRow:
    by_seed, rates = trials.records[name], trials.tuning.get(name, {})
    diverged = sum(record.status == "diverged" for record in by_seed.values())
    tried = f"{len(rates)} tried, {min(rates):g} to {max(rates):g}" if rates else ""
    count = f"{len(by_seed)}" + (f", {diverged} diverged" if diverged else "")
    return ArmRow(
        name, f"{rate:g}" if rate is not None else "", tried, count, trials.commands.get(name, "")
    )


def _cost(evaluated: list[Record], tuned: list[Record]) -> str:
    if not evaluated:
        return ""
    seconds = sum(record.duration_s for record in (*evaluated, *tuned))
    time = f"{number(seconds / 60)} minutes" if seconds >= 60 else f"{number(seconds, 2)} seconds"
    tuning = f" and {len(tuned)} tuning" if tuned else ""
    return (
        f"{len(evaluated)} evaluation{tuning} trials, {time} of one core"
        if evaluated[0].device.startswith("cpu")
        else (f"{len(evaluated)} evaluation{tuning} trials, {time}")
    )


def _made_by(records: list[Record]) -> str:
    """Versions and commits of the trials that count."""
    versions = sorted(
        {
            f"{name} {record.versions[name]}"
            for record in records
            for name in ("python", "torch")
            if name in record.versions
        }
    )
    commits = sorted({str(record.code["git"])[:9] for record in records if record.code.get("git")})
    return ", ".join([*versions, *(f"commit {commit}" for commit in commits)])


def _notes(row: Mapping[str, Any], trials: Trials) -> list[str]:
    if row["verdict"] == NO_DATA:
        return []  # the command that is missing stands beside it anyway
    return [
        *(f"missing: {what}" for what in row["missing"]),
        *(f"stale: {reason}" for reason in row["stale"]),
        *trials.failures,
    ]


def finished(store: Store) -> int:
    """How many trials are evidence."""
    return sum(record.status in DONE for record in store.records.values())
