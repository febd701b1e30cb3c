"""What a claim is: arms, what is tuned, the rule of each part, all written down before the
trials run. Torch-free."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from normlab.claims.evidence import Evidence, PartMissing, PartWithoutData
from normlab.claims.figure import Figure
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

    `learning_rates` is a geometric grid; it is extended where the best lies at its edge. Tuning
    seeds are 1000 and up, evaluation seeds 0 and up: they never meet.
    """

    overrides: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)  # for a claim's own `trial`
    seeds: int = 5
    learning_rates: tuple[float, ...] = ()
    tuning_seeds: int = 2
    extend: bool = True  # the grid, where the best rate lies at its edge
    timeout_s: float = 600.0
    # Expected, for `normlab show`; replaced by what records measured.
    seconds_per_trial: float = 1.0


@dataclass(frozen=True)
class Part:
    """One clause of a claim: a statement, the quantity that bears on it, and the rule that
    decides."""

    name: str
    statement: str
    quantity: Quantity
    rule: Rule

    @property
    def rule_words(self) -> str:
        """The whole rule in words: what is measured, in which unit, and what is asked of it."""
        unit = self.quantity.unit
        measured = f"{self.quantity.words} ({unit})" if unit else self.quantity.words
        return f"{measured}: {self.rule.words}"

    def decide(self, evidence: Evidence) -> Finding:
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
        finding = self.rule.decide(values, unit)
        if self.quantity.beside is None:
            return finding
        return replace(finding, text=f"{finding.text}; {self.quantity.beside(evidence)}")


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
    parts: tuple[Part, ...]
    arms: tuple[Arm, ...] = ()
    protocols: Mapping[str, Protocol] = field(default_factory=dict)  # by profile: smoke, cpu, gpu
    trial: Trial | None = None
    # Raised when `trial` computes something else: its records then run again.
    trial_version: int = 1
    # Its trials measure time: they run one at a time, after all others, and give no two same bits.
    timed: bool = False
    tuning_metric: str = "val_accuracy"  # of the validation split; a loss is minimised
    caveats: tuple[str, ...] = ()
    would_change: str = ""  # what would change the verdict
    figure: Figure | None = None  # on its card, beside the strips of every trial
    version: int = 1  # of the rule; raised when a rule changes, and the file says why
