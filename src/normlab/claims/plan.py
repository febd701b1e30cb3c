"""Which trials a claim needs next: a pure function of the claim and of what is recorded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from normlab.claims.claim import Arm, Claim, Protocol
from normlab.config.remembered import plain_config
from normlab.records.record import Record, trial_key
from normlab.records.store import DONE

FIRST_TUNING_SEED = 1000  # tuning and evaluation seeds never meet
EXTENSIONS = 3  # of a learning-rate grid, on each side


@dataclass(frozen=True)
class Job:
    """One trial: a training from Hydra overrides, or a direct measurement with a claim's own `trial`."""

    key: str
    claim: str
    arm: str
    seed: int
    stage: str  # tune | evaluate
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
class Plan:
    """`jobs` to run now (more may follow once they are recorded), and where evaluation stands."""

    jobs: list[Job] = field(default_factory=list)
    learning_rates: dict[str, float | None] = field(default_factory=dict)  # arm -> the tuned one
    evaluation: dict[str, dict[int, str]] = field(default_factory=dict)  # arm -> seed -> key
    tuning: dict[str, dict[float, list[str]]] = field(default_factory=dict)  # arm -> rate -> keys
    remaining: int = 0  # trials still to run, those that are not planned yet included


def plan(
    claim: Claim, protocol: Protocol, records: Mapping[str, Record], seeds: int | None = None
) -> Plan:
    """The next trials of `claim`: tuning first, and evaluation at the best rate of each arm.

    `records` holds by key what need not run (again). Every arm gets the same seeds and the same grid; where an arm's
    best rate lies at the edge of the grid, the grid is extended for this arm.
    """
    result = Plan()
    count = seeds or protocol.seeds
    for arm in claim.arms:
        rate: float | None = None
        if claim.trial is None and arm.tune and protocol.learning_rates:
            rate, missing = _tune(claim, arm, protocol, records, result)
            if missing:
                result.jobs += missing
                result.remaining += len(missing) + count
                continue
        result.learning_rates[arm.name] = rate
        jobs = [_job(claim, arm, protocol, rate, seed, "evaluate") for seed in range(count)]
        result.evaluation[arm.name] = {job.seed: job.key for job in jobs}
        missing = [job for job in jobs if job.key not in records]
        result.jobs += missing
        result.remaining += len(missing)
    return result


def _tune(
    claim: Claim, arm: Arm, protocol: Protocol, records: Mapping[str, Record], result: Plan
) -> tuple[float | None, list[Job]]:
    rates = sorted(protocol.learning_rates)
    factor = rates[1] / rates[0] if len(rates) > 1 else 3.0
    lower = upper = 0 if protocol.extend else EXTENSIONS
    while True:
        jobs = {
            rate: [
                _job(claim, arm, protocol, rate, FIRST_TUNING_SEED + index, "tune")
                for index in range(protocol.tuning_seeds)
            ]
            for rate in rates
        }
        result.tuning[arm.name] = {
            rate: [job.key for job in at_rate] for rate, at_rate in jobs.items()
        }
        missing = [job for at_rate in jobs.values() for job in at_rate if job.key not in records]
        if missing:
            return None, missing
        best = max(
            rates,
            key=lambda rate: _mean_score(
                [records[job.key] for job in jobs[rate]], claim.tuning_metric
            ),
        )
        if best == rates[0] and lower < EXTENSIONS:
            rates.insert(0, _rounded(best / factor))
            lower += 1
        elif best == rates[-1] and upper < EXTENSIONS:
            rates.append(_rounded(best * factor))
            upper += 1
        else:
            return best, []


def _mean_score(records: list[Record], metric: str) -> float:
    """Higher is better; a failed or not finite trial is the worst."""
    scores = []
    for record in records:
        value = record.metrics.get(metric)
        if record.status not in DONE or value is None or not math.isfinite(value):
            return -math.inf
        scores.append(-value if metric.endswith("loss") else value)
    return sum(scores) / len(scores)


def _rounded(rate: float) -> float:
    """Two significant digits, so that a rate reads the same in a command and in a record."""
    return float(f"{rate:.2g}")


def _job(
    claim: Claim, arm: Arm, protocol: Protocol, rate: float | None, seed: int, stage: str
) -> Job:
    if claim.trial is not None:
        options = {**protocol.options, **arm.options}
        key = trial_key(
            {"trial": claim.slug, "version": claim.trial_version, "options": options, "seed": seed}
        )
        return Job(
            key,
            claim.slug,
            arm.name,
            seed,
            stage,
            (),
            tuple(sorted(options.items())),
            protocol.timeout_s,
        )
    overrides = protocol.overrides + arm.overrides
    config = dict(plain_config(overrides))
    config["seed"] = seed
    parts = [*overrides, f"seed={seed}"]
    if arm.evaluations and stage == "evaluate":
        config["evaluations"] = list(arm.evaluations)
        parts.append(f"evaluations=[{','.join(arm.evaluations)}]")
    if rate is not None:
        config["optim"] = {**config["optim"], "lr": rate}
        parts.append(f"optim.lr={rate}")
    return Job(
        trial_key(config), claim.slug, arm.name, seed, stage, tuple(parts), None, protocol.timeout_s
    )
