"""What a claim is: arms, what is tuned, the rule of each part, all written down before the
trials run. Torch-free."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.evidence import Evidence, PartMissing, PartWithoutData
from normlab.claims.figure import Figure
from normlab.claims.looks import ONE_LOOK, Level, Looks
from normlab.claims.metric_words import Own, metric_in_words
from normlab.claims.metrics import Metric
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Finding, Rule
from normlab.records.measurement import Measurement
from normlab.records.verdict import INCONCLUSIVE, NO_DATA

# What a claim's file writes for its own `trial`, and nobody else reads.
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: Hydra overrides on top of the profile's, or options of the
    claim's own `trial`."""

    name: str
    overrides: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)
    tune: bool = True  # False: runs at the learning rate that its overrides or the profile's give
    # What else is measured on the trained network, in evaluation trials only.
    evaluations: tuple[str, ...] = ()
    at: Mapping[str, float | str] = field(default_factory=dict)  # coordinates, for figures


@dataclass(frozen=True)
class Protocol:
    """How much is run: the same for every arm.

    `learning_rates` is a geometric grid, over which every seed chooses its own by its validation
    score; it is extended where the best lies at its edge. With `choice`, overrides of a smaller
    budget, it chooses by trials of that, without evaluations, and has one trial at the full one.
    """

    overrides: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)  # for a claim's own `trial`
    looks: Looks = field(default_factory=Looks)
    learning_rates: tuple[float, ...] = ()
    extend: bool = True  # the grid, where the best rate lies at its edge
    choice: tuple[str, ...] = ()
    timeout_s: float = 600.0
    # Expected, for `normlab show`; replaced by what records measured.
    seconds_per_trial: float = 1.0
    seconds_per_choice: float = 1.0  # the same of a trial with `choice`


@dataclass(frozen=True)
class Part:
    """A clause of a claim, or one of its scope: a statement, the quantity that bears on it, and the
    rule that decides.

    stands_for: what the documents speak of, where the trial is something smaller: 1,000 layers, a
    GPU.
    expected: an effect that is plausible; noise: the standard deviation of one seed's effect. Of
    both the power is simulated before a run.
    """

    name: str
    statement: str
    quantity: Quantity
    rule: Rule
    stands_for: str = ""
    expected: float | None = None
    noise: float | None = None

    @property
    def rule_words(self) -> str:
        """The whole rule in words: what is measured, in which unit, and what is asked of it."""
        unit = self.quantity.unit
        measured = f"{self.quantity.words} ({unit})" if unit else self.quantity.words
        return f"{measured}: {self.rule.words}"

    def decide(self, evidence: Evidence, level: Level = ONE_LOOK) -> Finding:
        """The finding, from evidence that every arm has.

        Raises:
            Missing: too little evidence for the claim as a whole.
        """
        unit = self.quantity.unit
        # A part may lack what the others have: that is its own finding, and the others stand.
        try:
            values = self.quantity.read(evidence)
        except PartWithoutData as missing:
            return Finding(NO_DATA, None, None, None, "", 0, str(missing))
        except PartMissing as missing:
            n = len(evidence.seeds)
            return Finding(INCONCLUSIVE, None, None, None, unit, n, str(missing))
        finding = self.rule.decide(values, unit, level)
        remarks = [self.quantity.beside(evidence)] if self.quantity.beside else []
        remarks += _not_trained(evidence)
        return replace(finding, text="; ".join([finding.text, *remarks]))


def _not_trained(evidence: Evidence) -> list[str]:
    """For each arm of which some do not train, how many."""
    counts = {arm: int((~evidence.trained(arm)).sum()) for arm in evidence.records}
    n = len(evidence.seeds)
    return [f"{count} of {n} seeds of {arm} do not train" for arm, count in counts.items() if count]


Trial = Callable[[Options, int], Measurement | Mapping[str, Any]]


@dataclass(frozen=True)
class Claim:
    """A claim of shared documents, in our own words, with everything that decides it.

    Either the trials are trainings (arms with overrides, `protocols` by profile and data) or
    `trial` measures something directly: `trial(options, seed) -> {metric: value}`.
    """

    slug: str
    statement: str
    documents: tuple[str, ...]  # titles of the documents that make the claim
    source: str  # what the primary source really says
    prediction: str  # recorded before the trials ran
    clauses: tuple[Part, ...]  # of the documents' own sentence: all are meant, and these decide
    answers: Answers  # one sentence for a reader who sees nothing else, written before the run
    scope: tuple[Part, ...] = ()  # where it holds, controls, mechanisms: decides nothing
    arms: tuple[Arm, ...] = ()
    # By profile: smoke, quick, full, gpu.
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    trial: Trial | None = None
    # Raised when `trial` computes something else: its records then run again.
    trial_version: int = 1
    # Its trials measure time: they run one at a time, after all others, and give no two same bits.
    timed: bool = False
    tuning_metric: str = "val_accuracy"  # of the validation split; a loss is minimised
    caveats: tuple[str, ...] = ()
    would_change: str = ""  # what would change the verdict
    figure: Figure | None = None  # on its card, beside the strips of every trial
    # What its own metrics are, in words with the unit, by the name in a record.
    metrics: Own = field(default_factory=dict)
    # Of the first trial of every arm: raised with every new version, whose seeds are fresh.
    first_seed: int = 100

    @property
    def parts(self) -> tuple[Part, ...]:
        """Clauses, then scope."""
        return self.clauses + self.scope

    def metric(self, name: str) -> Metric:
        """The metric of that name in a record of its trials, as figures and tables show it."""
        return metric_in_words(name, self.metrics)
