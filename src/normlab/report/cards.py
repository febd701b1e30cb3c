"""What the page says of each claim, from the claim, its verdict and its trials; the template
only lays it out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from normlab.claims.claim import Claim
from normlab.claims.registry import experiment_file
from normlab.claims.trials import Trials, collect
from normlab.records.device import read_device
from normlab.records.places import EXPERIMENTS
from normlab.records.record import Record
from normlab.records.store import DONE, Store
from normlab.records.verdict import NO_DATA, Earlier, OtherVerdict, PartVerdict, Verdict
from normlab.records.words import device_label, effect, listed, number
from normlab.report.again import again_in_words, again_kind, again_marks
from normlab.report.claim_text import run_command
from normlab.report.figures import draw
from normlab.report.panels import panels
from normlab.report.strips import arm_strips, effect_strip
from normlab.report.trial_table import TrialTable, trial_table
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
    decides: bool = True
    stands_for: str = ""


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
    """One claim on the page.

    stale: other code than this made the records. notes: what is missing, what is stale, and trials
    that failed.
    """

    claim: Claim
    verdict: str
    answer: str
    clauses: list[Clause]  # then the scope
    version: str
    intervals: str  # which ones clauses have, where that is not 95 %
    history: list[Earlier]
    n: int
    profile: str
    device: str
    others: list[tuple[str, str]]  # verdict, and of which other device
    again: list[tuple[str, str]]  # whether the verdict held, and all of it in words
    again_kind: str  # the worst of these; "" where nothing was asked again
    marks: list[str]  # what stands beside the verdict in a table
    data: str
    figure: Markup
    strips: list[Markup]
    trials: TrialTable
    arms: list[ArmRow]
    command: str  # the one that gives the verdict
    cost: str
    made_by: str
    files: list[tuple[str, int]]
    stale: bool
    notes: list[str]

    @property
    def evidence(self) -> str:
        """Where the verdict comes from, in one line."""
        return " · ".join(
            filter(None, [self.profile and f"{self.profile} profile on {self.device}", self.data])
        )

    @cached_property
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


def build_card(claim: Claim, verdict: Verdict, store: Store) -> Card:
    """Of a claim and its verdict."""
    trials = collect(claim, verdict, store)
    evaluated = trials.all()
    # Data, versions and commits are told of what is evidence.
    counted = trials.all(counted=True)
    tuned = _not_chosen(trials)
    read = panels(claim, trials)
    # Shared trials lie in the file of the claim that ran them first.
    files = Counter(record.claim for record in (*evaluated, *tuned) if record.claim)
    return Card(
        claim=claim,
        verdict=verdict.verdict,
        answer=verdict.answer,
        version=verdict.version,
        intervals=_intervals(claim, verdict),
        history=list(verdict.history),
        clauses=[_clause(part) for part in verdict.parts],
        n=verdict.n,
        profile=verdict.profile or "",
        device=device_label(verdict.device),
        others=[(other.verdict, _elsewhere(other)) for other in verdict.others],
        again=again_in_words(verdict),
        again_kind=again_kind(verdict),
        marks=again_marks(verdict),
        data="; ".join(sorted({data_label(record) for record in counted})),
        figure=draw(claim, trials),
        strips=[arm_strips(panel) for panel in read],
        trials=trial_table(claim, trials, read),
        arms=[_arm(name, trials, verdict.learning_rates.get(name, ())) for name in trials.records],
        command=run_command(claim, verdict),
        cost=_cost(evaluated, tuned),
        made_by=_made_by(counted),
        files=sorted(files.items()),
        # Without a verdict there is nothing that could be.
        stale=bool(verdict.stale) and verdict.verdict != NO_DATA,
        notes=_notes(verdict, trials),
    )


def _intervals(claim: Claim, verdict: Verdict) -> str:
    tested = any(part.p is not None for part in verdict.clauses)
    if not verdict.profile or not tested:
        return ""
    looks = claim.protocols[verdict.profile].looks
    if len(looks.sizes) == 1:
        return ""
    sizes = listed([str(size) for size in looks.sizes])
    return (
        f"The intervals of clauses are {looks.level.confidence:.1%} each, so that looks at {sizes} "
        "seeds together keep 95 %. Those of figures and of arms are plain 95 %."
    )


def _not_chosen(trials: Trials) -> list[Record]:
    """The trials at rates that their seed did not choose."""
    chosen = {record.key for record in trials.all()}
    records = []
    for by_rate in trials.tried.values():
        for at_rate in by_rate.values():
            records += [record for record in at_rate if record.key not in chosen]
    return records


def _elsewhere(other: OtherVerdict) -> str:
    return f"{other.profile} profile on {device_label(other.device)}, n = {other.n}"


def _clause(part: PartVerdict) -> Clause:
    strip = effect_strip(part)
    words = effect(part)
    return Clause(
        part.name, part.statement, part.rule, part.verdict, words, part.text, strip,
        part.decides, part.stands_for,
    )  # fmt: skip


def _arm(name: str, trials: Trials, chosen: Sequence[float]) -> ArmRow:
    by_seed, rates = trials.records[name], trials.tried.get(name, {})
    diverged = sum(record.status == "diverged" for record in by_seed.values())
    tried = f"{len(rates)} tried, {min(rates):g} to {max(rates):g}" if rates else ""
    count = f"{len(by_seed)}" + (f", {diverged} did not train" if diverged else "")
    return ArmRow(name, _rates(chosen), tried, count, trials.commands.get(name, ""))


def _rates(chosen: Sequence[float]) -> str:
    """What the seeds of an arm chose: `0.1`, or `0.03 (2), 0.1 (3)`."""
    times = sorted(Counter(chosen).items())
    if len(times) == 1:
        return f"{times[0][0]:g}"
    return ", ".join(f"{rate:g} ({count})" for rate, count in times)


def _cost(evaluated: list[Record], others: list[Record]) -> str:
    if not evaluated:
        return ""
    seconds = sum(record.duration_s for record in (*evaluated, *others))
    time = f"{number(seconds / 60)} minutes" if seconds >= 60 else f"{number(seconds, 2)} seconds"
    beside = f" and {len(others)} at other learning rates" if others else ""
    core = " of one core" if read_device(evaluated[0].device).is_one_core else ""
    return f"{len(evaluated)} trials{beside}, {time}{core}"


def _made_by(records: list[Record]) -> str:
    """Versions and commits of the trials that count."""
    versions, commits = set(), set()
    for record in records:
        named = {name: record.versions.get(name) for name in ("python", "torch")}
        versions |= {f"{name} {version}" for name, version in named.items() if version}
        if record.code.get("git"):
            commits.add(f"commit {str(record.code['git'])[:9]}")
    return ", ".join([*sorted(versions), *sorted(commits)])


def _notes(verdict: Verdict, trials: Trials) -> list[str]:
    if verdict.verdict == NO_DATA:
        return []  # the command that is missing stands beside it anyway
    return [
        *(f"missing: {what}" for what in verdict.missing),
        *(f"stale: {reason}" for reason in verdict.stale),
        *trials.failures,
    ]


def finished(store: Store) -> int:
    """How many trials are evidence."""
    return sum(record.status in DONE for record in store.records.values())
