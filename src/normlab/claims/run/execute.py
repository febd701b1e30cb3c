"""What a worker process does: one job, one record, whatever happens."""

import datetime
import platform
import signal
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from normlab.claims.claim import Claim
from normlab.claims.design import Job
from normlab.claims.registry import load_claim
from normlab.config.cache import trial_config
from normlab.records.measurement import as_measurement
from normlab.records.provenance import code_state
from normlab.records.record import Record

RUNS = Path("runs") / "claims"  # of trials with loggers: SLUG/KEY below it


class TrialTimeout(BaseException):
    """Not an Exception, so that no handler inside a trial swallows it."""


def execute(job: Job, experiments: Path) -> Record:
    """Run `job` in this process.

    Raises nothing for what a trial does: a crash is `failed`, a hang `timeout`.
    """
    began = time.perf_counter()
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

    def alarm(signum: int, frame: object) -> None:
        raise TrialTimeout

    previous = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, job.timeout_s)
    try:
        record = _train(job) if job.options is None else _measure(job, experiments)
    except TrialTimeout:
        record = unfinished(job, "timeout", f"no result within {job.timeout_s:g} s")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        message = (
            f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
        )
        record = unfinished(job, "failed", message)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert record.key == job.key, f"planned as {job.key}, ran as {record.key}"
    record.claim, record.arm, record.stage, record.seed = job.claim, job.arm, job.stage, job.seed
    record.started = record.started or started
    record.duration_s = record.duration_s or round(time.perf_counter() - began, 3)
    return record


def with_loggers(claim: Claim, loggers: Sequence[str]) -> Claim:
    """`claim` with trainings that log, and keys as before.

    What its own `trial` measures has no curve to log.
    """
    logged = {
        name: replace(protocol, overrides=(*protocol.overrides, f"logger=[{','.join(loggers)}]"))
        for name, protocol in claim.protocols.items()
    }
    return replace(claim, protocols=logged)


def _train(job: Job) -> Record:
    from normlab.training.fit import fit

    if not any(item.startswith("logger=") for item in job.overrides):
        return fit(trial_config((*job.overrides, "logger=none", "trainer.progress=false")))
    cfg = trial_config((*job.overrides, "trainer.progress=false"))
    # wandb's tags and job type; not in the key.
    cfg.claim, cfg.arm, cfg.stage = job.claim, job.arm, job.stage
    if cfg.logger.wandb is not None:
        cfg.logger.wandb.group = job.claim
    run_dir = RUNS / job.claim / job.key
    run_dir.mkdir(parents=True, exist_ok=True)
    return fit(cfg, run_dir)


def _measure(job: Job, experiments: Path) -> Record:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    claim = load_claim(job.claim, experiments)
    options = dict(job.options or ())
    assert claim.trial is not None
    measured = as_measurement(claim.trial(options, job.seed))
    config = {
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
        versions={"python": platform.python_version(), "torch": torch.__version__},
        device=measured.device or f"cpu ({platform.machine()}, 1 thread)",
        data=measured.data,
        code=code_state(),
    )


def unfinished(job: Job, status: str, message: str) -> Record:
    """The record of a trial that gave none itself: `failed` or `timeout`, and why."""
    config = {"overrides": list(job.overrides), "options": dict(job.options or ())}
    return Record(
        job.key, config, job.claim, job.arm, job.seed, job.stage, status, message, code=code_state()
    )
