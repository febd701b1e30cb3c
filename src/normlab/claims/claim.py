"""What a claim is: arms, what is tuned, the rule of each part, all written down before the trials run. Torch-free."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from normlab.claims.evidence import Evidence
from normlab.claims.rules import Finding


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: Hydra overrides on top of the profile's, or options of the claim's own `trial`."""

    name: str
    overrides: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    tune: bool = True  # False: runs at the learning rate that its overrides or the profile's give
    evaluations: tuple[
        str, ...
    ] = ()  # what else is measured on the trained network, in evaluation trials only


@dataclass(frozen=True)
class Protocol:
    """How much is run: the same for every arm.

    `learning_rates` is a geometric grid; it is extended where the best lies at its edge. Tuning seeds are 1000 and up,
    evaluation seeds 0 and up: they never meet.
    """

    overrides: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)  # for a claim's own `trial`
    seeds: int = 5
    learning_rates: tuple[float, ...] = ()
    tuning_seeds: int = 2
    extend: bool = True  # the grid, where the best rate lies at its edge
    timeout_s: float = 600.0
    seconds_per_trial: float = (
        1.0  # expected, for `normlab show`; replaced by what records measured
    )


@dataclass(frozen=True)
class Part:
    """One clause of a claim with its own rule: `decide` is a pure function of the evidence."""

    name: str
    statement: str
    rule: str  # in words, with its numbers
    decide: Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Claim:
    """A claim of shared documents, in our own words, with everything that decides it.

    Either the trials are trainings (arms with overrides, `protocols` by profile and data) or `trial` measures something
    directly: `trial(options, seed) -> {metric: value}`.
    """

    slug: str
    statement: str
    documents: tuple[str, ...]  # titles of the documents that make the claim
    source: str  # what the primary source really says
    prediction: str  # recorded before the trials ran
    parts: tuple[Part, ...]
    arms: tuple[Arm, ...] = ()
    protocols: Mapping[str, Protocol] = field(default_factory=dict)  # by profile: smoke, cpu, gpu
    trial: Callable[[Mapping[str, Any], int], dict[str, Any]] | None = None
    trial_version: int = (
        1  # raised when `trial` computes something else: its records then run again
    )
    timed: bool = False  # its trials measure time: they run one at a time, after all others, and give no two same bits
    tuning_metric: str = "val_accuracy"  # of the validation split; a loss is minimised
    caveats: tuple[str, ...] = ()
    would_change: str = ""  # what would change the verdict
    figure: str | None = None  # the kind of figure on its card, see normlab.report.figures
    version: int = 1  # of the rule; raised when a rule changes, and the file says why
