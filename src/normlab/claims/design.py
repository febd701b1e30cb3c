"""Which trials a claim has, arms x seeds x learning rates, and which of them it needs next.

Pure functions of the claim and of what is recorded. What an arm is compared by is its procedure,
the choice of the learning rate included: every seed chooses its own by its own validation score, so
that seeds are independent of each other and of those of other arms.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from normlab.claims.claim import Arm, Claim, Protocol
from normlab.claims.metrics import metric as metric_of
from normlab.config.cache import plain_config
from normlab.records.json_values import Json, JsonObject
from normlab.records.record import Record, hash_of, key_parts, trial_key

EXTENSIONS = 3  # of a learning-rate grid, on each side


@dataclass(frozen=True)
class Job:
    """One trial: a training from Hydra overrides, or a direct measurement with a claim's own
    `trial`."""

    key: str
    claim: str
    arm: str
    seed: int
    overrides: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] | None = None  # None for a training
    timeout_s: float = 600.0

    @property
    def command(self) -> str:
        """What runs this trial alone."""
        if self.options is None:
            return f"python train.py {' '.join(self.overrides)}"
        return f"normlab run {self.claim}"


@dataclass
class Progress:
    """Where a design stands: `jobs` to run now (more may follow once they are recorded)."""

    jobs: list[Job] = field(default_factory=list)
    # arm -> seed -> the trial at the rate that the seed chose
    evaluation: dict[str, dict[int, Job]] = field(default_factory=dict)
    # arm -> seed -> rate -> the trial that it was chosen by; a single rate None without a choice
    tried: dict[str, dict[int, dict[float | None, Job]]] = field(default_factory=dict)
    chosen: dict[str, dict[int, float]] = field(default_factory=dict)  # arm -> seed -> rate
    # Trials still to run, as far as is known; of these at the budget of a `choice`.
    remaining: int = 0
    remaining_choices: int = 0

    @property
    def planned(self) -> list[Job]:
        """Every trial that has a key by now, recorded or not, each once."""
        jobs: list[Job] = []
        for arm, by_seed in self.tried.items():
            for seed, by_rate in by_seed.items():
                jobs += _needed(by_rate, self.evaluation[arm].get(seed))
        return jobs

    def rates(self, arm: str) -> list[float]:
        """What the seeds of `arm` chose, ascending."""
        return sorted(self.chosen.get(arm, {}).values())

    def recorded(self, records: Mapping[str, Record]) -> dict[str, dict[int, Record]]:
        """The evaluation trials that `records` hold, by arm and seed."""
        return {arm: _recorded(jobs, records) for arm, jobs in self.evaluation.items()}


def _recorded(jobs: Mapping[int, Job], records: Mapping[str, Record]) -> dict[int, Record]:
    return {seed: records[job.key] for seed, job in jobs.items() if job.key in records}


def _needed(by_rate: Mapping[float | None, Job], evaluation: Job | None) -> list[Job]:
    """A seed's trials: those at each rate, and the evaluation where it is none of them."""
    jobs = list(by_rate.values())
    if evaluation is not None and evaluation not in jobs:
        jobs.append(evaluation)
    return jobs


class _Choice(NamedTuple):
    """A seed's trials by rate so far, whether it has chosen, and which rate; None where there is
    none to choose."""

    tried: dict[float | None, Job]
    made: bool = False
    rate: float | None = None


class Design:
    """The trials of `claim` under `protocol`, each key computed once however often it is asked for.

    Every arm gets the same seeds and the same grid of learning rates; where the best rate of a seed
    lies at the edge of the grid, the grid is extended for this seed. Where the protocol has a
    shorter `choice`, a seed chooses by trials of that, and then has one at the full budget.
    """

    def __init__(self, claim: Claim, protocol: Protocol, seeds: int | None = None) -> None:
        self.claim = claim
        self.protocol = protocol
        self.seeds = seeds  # of every arm, whatever the looks say
        self._jobs: dict[tuple[str, float | None, int, bool], Job] = {}
        self._parts: dict[tuple[str, ...], JsonObject] = {}

    def job(self, arm: Arm, rate: float | None, seed: int, *, choice: bool = False) -> Job:
        """The trial of `arm` at a learning rate; None: the rate of its own configuration.

        choice: the shorter one, by which a rate is chosen.
        """
        name = arm.name, rate, seed, choice
        if name not in self._jobs:
            self._jobs[name] = self._job(arm, rate, seed, choice)
        return self._jobs[name]

    def progress(
        self, records: Mapping[str, Record], seeds: int | Mapping[str, int] | None = None
    ) -> Progress:
        """What to run next, for the first `seeds` seeds of every arm, or of each by its name.

        `records` holds by key what need not run (again).
        """
        result = Progress()
        first = self.claim.first_seed
        for arm in self.claim.arms:
            wanted = (
                seeds.get(arm.name, 0)
                if isinstance(seeds, Mapping)
                else seeds or self.seeds or self.protocol.looks.most
            )
            tried = result.tried.setdefault(arm.name, {})
            evaluation = result.evaluation.setdefault(arm.name, {})
            chosen = result.chosen.setdefault(arm.name, {})
            for seed in range(first, first + wanted):
                choice = self._choose(arm, seed, records)
                tried[seed] = choice.tried
                if choice.made:
                    evaluation[seed] = self.job(arm, choice.rate, seed)
                if choice.rate is not None:
                    chosen[seed] = choice.rate
                needed = _needed(choice.tried, evaluation.get(seed))
                missing = [job for job in needed if job.key not in records]
                result.jobs += missing
                self._count(result, missing, choice)
        return result

    def _count(self, result: Progress, missing: list[Job], choice: _Choice) -> None:
        """Add a seed's missing trials to those that remain."""
        result.remaining += len(missing)
        if self._is_short(choice):
            result.remaining_choices += sum(job in missing for job in choice.tried.values())
            # Its trial at the full budget is not known before the rate is.
            result.remaining += not choice.made

    def _is_short(self, choice: _Choice) -> bool:
        return bool(self.protocol.choice) and None not in choice.tried

    def _choose(self, arm: Arm, seed: int, records: Mapping[str, Record]) -> _Choice:
        rates = sorted(self.protocol.learning_rates)
        if self.claim.trial is not None or not arm.tune or not rates:
            only = self.job(arm, None, seed)
            return _Choice({None: only}, only.key in records)
        # A single rate has no step: about half a decade, as in the grids of claims/protocols.
        factor = rates[1] / rates[0] if len(rates) > 1 else 3.0
        # Extensions so far, below and above; a fixed grid has used all of them up.
        lower = upper = 0 if self.protocol.extend else EXTENSIONS
        while True:
            short = bool(self.protocol.choice)
            jobs: dict[float | None, Job] = {}
            for rate in rates:
                jobs[rate] = self.job(arm, rate, seed, choice=short)
            if any(job.key not in records for job in jobs.values()):
                return _Choice(jobs)
            scores = [self._score(records[jobs[rate].key]) for rate in rates]
            # Of equal scores the first, the lowest rate: where none trains, the grid grows down
            # first, then up.
            best = max(range(len(rates)), key=scores.__getitem__)
            nowhere = scores[best] == -math.inf
            if best == 0 and lower < EXTENSIONS:
                rates.insert(0, _rounded(rates[0] / factor))
                lower += 1
            elif (best == len(rates) - 1 or nowhere) and upper < EXTENSIONS:
                rates.append(_rounded(rates[-1] * factor))
                upper += 1
            else:
                return _Choice(jobs, True, rates[best])

    def _score(self, record: Record) -> float:
        """Of the validation split, higher is better; a failed or not finite trial is the worst."""
        metric = metric_of(self.claim.tuning_metric)
        value = record.metrics.get(metric.name)
        if record.status != "ok" or value is None or not math.isfinite(value):
            return -math.inf
        return metric.score(value)

    def _job(self, arm: Arm, rate: float | None, seed: int, choice: bool) -> Job:
        claim, limit = self.claim, self.protocol.timeout_s
        if claim.trial is not None:
            options = {**self.protocol.options, **arm.options}
            version = claim.trial_version
            measured: dict[str, Any] = {"trial": claim.slug, "version": version}
            # Without the arm: two arms of equal options are one trial.
            key = trial_key({**measured, "options": options, "seed": seed})
            # A job is frozen and holds a tuple; sorted, so that equal options are equal jobs.
            given = tuple(sorted(options.items()))
            return Job(key, claim.slug, arm.name, seed, (), given, limit)
        overrides = self.protocol.overrides + arm.overrides
        evaluations: tuple[str, ...] = arm.evaluations
        if choice:
            # Nothing is measured on it but its validation score.
            overrides, evaluations = overrides + self.protocol.choice, ()
        # Seed, rate and evaluations are set on a copy: all trials of an arm share the rest.
        parts: dict[str, Json] = {**self._shared(overrides), "seed": seed}
        command = [*overrides, f"seed={seed}"]
        if evaluations:
            parts["evaluations"] = list(evaluations)
            command.append(f"evaluations=[{','.join(evaluations)}]")
        if rate is not None:
            optim = parts["optim"]
            assert isinstance(optim, dict)
            parts["optim"] = {**optim, "lr": rate}
            command.append(f"optim.lr={rate}")
        return Job(hash_of(parts), claim.slug, arm.name, seed, tuple(command), None, limit)

    def _shared(self, overrides: tuple[str, ...]) -> JsonObject:
        """What of a configuration belongs to the keys of trials, whatever their seed and rate."""
        if overrides not in self._parts:
            self._parts[overrides] = key_parts(plain_config(overrides))
        return self._parts[overrides]


def _rounded(rate: float) -> float:
    """Two significant digits, so that a rate reads the same in a command and in a record."""
    return float(f"{rate:.2g}")
