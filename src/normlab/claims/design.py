"""Which trials a claim has, arms x seeds x stage, and which of them it needs next.

Pure functions of the claim and of what is recorded.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from normlab.claims.claim import Arm, Claim, Protocol
from normlab.claims.metrics import metric as metric_of
from normlab.config.cache import plain_config
from normlab.records.record import Record, trial_key
from normlab.records.store import DONE

FIRST_TUNING_SEED = 1000  # tuning and evaluation seeds never meet
EXTENSIONS = 3  # of a learning-rate grid, on each side
TUNE, EVALUATE = "tune", "evaluate"


@dataclass(frozen=True)
class Job:
    """One trial: a training from Hydra overrides, or a direct measurement with a claim's own
    `trial`."""

    key: str
    claim: str
    arm: str
    seed: int
    stage: str  # TUNE | EVALUATE
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
    learning_rates: dict[str, float | None] = field(default_factory=dict)  # arm -> the tuned one
    evaluation: dict[str, dict[int, Job]] = field(default_factory=dict)  # arm -> seed -> trial
    tuning: dict[str, dict[float, list[Job]]] = field(default_factory=dict)  # arm -> rate -> trials
    remaining: int = 0  # trials still to run, those that are not planned yet included

    @property
    def planned(self) -> list[Job]:
        """Every trial that has a key by now, recorded or not: tuning, then evaluation."""
        jobs: list[Job] = []
        for by_rate in self.tuning.values():
            for at_rate in by_rate.values():
                jobs += at_rate
        for by_seed in self.evaluation.values():
            jobs += by_seed.values()
        return jobs

    def recorded(self, records: Mapping[str, Record]) -> dict[str, dict[int, Record]]:
        """The evaluation trials that `records` hold, by arm and seed."""
        return {arm: _recorded(jobs, records) for arm, jobs in self.evaluation.items()}


def _recorded(jobs: Mapping[int, Job], records: Mapping[str, Record]) -> dict[int, Record]:
    return {seed: records[job.key] for seed, job in jobs.items() if job.key in records}


class Design:
    """The trials of `claim` under `protocol`, each key computed once however often it is asked for.

    Every arm gets the same seeds and the same grid of learning rates; where an arm's best rate lies
    at the edge of the grid, the grid is extended for this arm.
    """

    def __init__(self, claim: Claim, protocol: Protocol, seeds: int | None = None) -> None:
        self.claim = claim
        self.protocol = protocol
        self.seeds = range(seeds or protocol.seeds)
        first = FIRST_TUNING_SEED
        self.tuning_seeds = range(first, first + protocol.tuning_seeds)
        self._jobs: dict[tuple[str, float | None, str], list[Job]] = {}

    def jobs(self, arm: Arm, rate: float | None, stage: str) -> list[Job]:
        """The trials of `arm` at a learning rate, by seed; None: the rate of its own
        configuration."""
        name = arm.name, rate, stage
        if name not in self._jobs:
            seeds = self.tuning_seeds if stage == TUNE else self.seeds
            self._jobs[name] = [self._job(arm, rate, seed, stage) for seed in seeds]
        return self._jobs[name]

    def progress(self, records: Mapping[str, Record]) -> Progress:
        """What to run next: tuning first, and evaluation at the best rate of each arm.

        `records` holds by key what need not run (again).
        """
        result = Progress()
        for arm in self.claim.arms:
            rate: float | None = None
            if self.claim.trial is None and arm.tune and self.protocol.learning_rates:
                rate, missing = self._tune(arm, records, result)
                if missing:
                    # Its evaluation trials have no key before the rate is known: they are counted.
                    result.jobs += missing
                    result.remaining += len(missing) + len(self.seeds)
                    continue
            jobs = self.jobs(arm, rate, EVALUATE)
            missing = [job for job in jobs if job.key not in records]
            result.learning_rates[arm.name] = rate
            result.evaluation[arm.name] = {job.seed: job for job in jobs}
            result.jobs += missing
            result.remaining += len(missing)
        return result

    def _tune(
        self, arm: Arm, records: Mapping[str, Record], result: Progress
    ) -> tuple[float | None, list[Job]]:
        """The best rate of `arm`, or the trials that must run before it is known."""
        rates = sorted(self.protocol.learning_rates)
        # A single rate has no step: about half a decade, as in the grids of claims/protocols.
        factor = rates[1] / rates[0] if len(rates) > 1 else 3.0
        # Extensions so far, below and above; a fixed grid has used all of them up.
        lower = upper = 0 if self.protocol.extend else EXTENSIONS
        while True:
            jobs = {rate: self.jobs(arm, rate, TUNE) for rate in rates}
            result.tuning[arm.name] = jobs
            missing = _missing(jobs, records)
            if missing:
                return None, missing
            scores = {rate: self._mean_score(jobs[rate], records) for rate in rates}
            # Of equal scores the first, the lowest rate: if nothing trained, the grid grows down.
            best = max(rates, key=scores.__getitem__)
            if best == rates[0] and lower < EXTENSIONS:
                rates.insert(0, _rounded(best / factor))
                lower += 1
            elif best == rates[-1] and upper < EXTENSIONS:
                rates.append(_rounded(best * factor))
                upper += 1
            else:
                return best, []

    def _mean_score(self, jobs: Sequence[Job], records: Mapping[str, Record]) -> float:
        """Higher is better; a failed or not finite trial is the worst."""
        metric = metric_of(self.claim.tuning_metric)
        scores = []
        for job in jobs:
            record = records[job.key]
            value = record.metrics.get(metric.name)
            # One such seed condemns its rate: the mean of the others would not show it.
            if record.status not in DONE or value is None or not math.isfinite(value):
                return -math.inf
            scores.append(metric.score(value))
        return sum(scores) / len(scores)

    def _job(self, arm: Arm, rate: float | None, seed: int, stage: str) -> Job:
        claim, limit = self.claim, self.protocol.timeout_s
        if claim.trial is not None:
            options = {**self.protocol.options, **arm.options}
            version = claim.trial_version
            measured: dict[str, Any] = {"trial": claim.slug, "version": version}
            # Without the arm: two arms of equal options are one trial.
            key = trial_key({**measured, "options": options, "seed": seed})
            # A job is frozen and holds a tuple; sorted, so that equal options are equal jobs.
            given = tuple(sorted(options.items()))
            return Job(key, claim.slug, arm.name, seed, stage, (), given, limit)
        overrides = self.protocol.overrides + arm.overrides
        # Seed, rate and evaluations are set on a copy: all trials of an arm share one composition.
        config = dict(plain_config(overrides))
        config["seed"] = seed
        command = [*overrides, f"seed={seed}"]
        if arm.evaluations and stage == EVALUATE:
            config["evaluations"] = list(arm.evaluations)
            command.append(f"evaluations=[{','.join(arm.evaluations)}]")
        if rate is not None:
            config["optim"] = {**config["optim"], "lr": rate}
            command.append(f"optim.lr={rate}")
        key = trial_key(config)
        return Job(key, claim.slug, arm.name, seed, stage, tuple(command), None, limit)


def _missing(jobs: Mapping[float, list[Job]], records: Mapping[str, Record]) -> list[Job]:
    planned = [job for at_rate in jobs.values() for job in at_rate]
    return [job for job in planned if job.key not in records]


def _rounded(rate: float) -> float:
    """Two significant digits, so that a rate reads the same in a command and in a record."""
    return float(f"{rate:.2g}")
