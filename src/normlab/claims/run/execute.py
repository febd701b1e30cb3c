"""What a worker process does: one job, one record, whatever happens."""

import datetime
import platform
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.design import Job
from normlab.claims.registry import load_claim
from normlab.claims.run.time_limit import TrialTimeout, time_limit
from normlab.records.json_values import JsonObject
from normlab.records.machine import versions
from normlab.records.measurement import as_measurement
from normlab.records.provenance import code_state
from normlab.records.record import Record

# Of every trial: a seed chooses its rate among trials that all could be its evaluation.
STAGE = "evaluate"
RUNS = Path("runs") / "claims"  # of trials with loggers: SLUG/KEY below it


def execute(job: Job, experiments: Path) -> Record:
    """Run `job` in this process.

    Raises nothing for what a trial does: a crash is `failed`, a hang `timeout`.
    """
    began = time.perf_counter()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        with time_limit(job.timeout_s):
            record = _train(job) if job.options is None else _measure(job, experiments)
    except TrialTimeout:
        record = unfinished(job, "timeout", f"no result within {job.timeout_s:g} s")
    except Exception as error:
        record = unfinished(job, "failed", _with_place(error))
    if record.key != job.key:  # a bug of ours: it would run again and again
        raise RuntimeError(f"planned as {job.key}, ran as {record.key}")
    # For whom it runs is no part of a trial, and not in its key.
    record.claim, record.arm, record.stage, record.seed = job.claim, job.arm, STAGE, job.seed
    record.started = record.started or started
    # `fit` gives its own; a trial that gives none is timed here.
    record.duration_s = record.duration_s or round(time.perf_counter() - began, 3)
    return record


def _with_place(error: Exception) -> str:
    """The error, and the file and line that raised it: a record holds no traceback."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"


def in_one_line(error: BaseException) -> str:
    """`OSError: disk full`: the kind of an error, and the first line of its words if it has any."""
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".: ")


def with_loggers(claim: Claim, loggers: Sequence[str]) -> Claim:
    """`claim` with trainings that log, and keys as before.

    What its own `trial` measures has no curve to log.
    """
    # The group `logger` is in no key: what is recorded already is not run again for a curve.
    override = f"logger=[{','.join(loggers)}]"
    protocols = {
        name: replace(protocol, overrides=(*protocol.overrides, override))
        for name, protocol in claim.protocols.items()
    }
    return replace(claim, protocols=protocols)


def _train(job: Job) -> Record:
    from normlab.config.compose import compose
    from normlab.training.fit import fit

    # A record is all that is asked for: no files, and no bar among those of other workers.
    if not any(item.startswith("logger=") for item in job.overrides):
        return fit(compose((*job.overrides, "logger=none", "trainer.progress=false")))
    cfg = compose((*job.overrides, "trainer.progress=false"))
    # wandb's tags and job type; not in the key.
    cfg.claim, cfg.arm, cfg.stage = job.claim, job.arm, STAGE
    if cfg.logger.wandb is not None:
        cfg.logger.wandb.group = job.claim
    run_dir = RUNS / job.claim / job.key
    run_dir.mkdir(parents=True, exist_ok=True)
    return fit(cfg, run_dir)


def _measure(job: Job, experiments: Path) -> Record:
    import torch

    # As a training sets them for itself: the bits of a trial depend on both.
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    claim = load_claim(job.claim, experiments)
    options = dict(job.options or ())
    # The file may have been edited since the plan was made.
    if claim.trial is None:
        raise RuntimeError(f"{job.claim} has no trial of its own any more")
    measured = as_measurement(claim.trial(options, job.seed))
    config: JsonObject = {
        "trial": claim.slug,
        "version": claim.trial_version,
        "options": options,
        "seed": job.seed,
    }
    return Record(
        job.key,
        config,
        status="ok",
        metrics=dict(measured.metrics),
        versions=versions(),
        device=measured.device or f"cpu ({platform.machine()}, 1 thread)",
        data=measured.data,
        code=code_state(),
    )


def unfinished(job: Job, status: str, message: str) -> Record:
    """The record of a trial that gave none itself: `failed` or `timeout`, and why."""
    return Record(
        job.key,
        # Not composed: that may be what failed.
        {"overrides": list(job.overrides), "options": dict(job.options or ())},
        claim=job.claim,
        arm=job.arm,
        seed=job.seed,
        stage=STAGE,
        status=status,
        message=message,
        code=code_state(),
    )
