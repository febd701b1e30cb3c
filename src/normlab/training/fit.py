"""fit(cfg) -> Record: one trial from a configuration, read from top to bottom."""

import datetime
import math
import sys
import time
from pathlib import Path
from typing import Any

from normlab.config.compose import to_dict
from normlab.config.schema import Config
from normlab.records.machine import versions
from normlab.records.provenance import code_state
from normlab.records.record import Record, target_hash, trial_key
from normlab.training.callbacks import Progress, SaveCheckpoint
from normlab.training.checkpoints import check_checkpoint
from normlab.training.devices import device_name, device_of, synchronise
from normlab.training.divergence import stuck
from normlab.training.evaluations import check_evaluations, evaluation
from normlab.training.evaluations.beforehand import check_beforehand
from normlab.training.lightning import L
from normlab.training.loggers import build_loggers, close_loggers
from normlab.training.parallel import Place, join_group, leave_group
from normlab.training.probes import build_probes
from normlab.training.setup import Setup, set_up
from normlab.training.step import evaluate
from normlab.training.task import Task
from normlab.training.trainer import build_trainer


def fit(cfg: Config, run_dir: Path | None = None) -> Record:
    """Train and evaluate what `cfg` describes.

    With `run_dir`, loggers and checkpoints write there; without it nothing is written. The
    validation split is read during training if `trainer.eval_every` says so, the test split once,
    after the last step.

    With `trainer.devices` this is one of as many processes (see normlab.training.parallel), each
    with its share of every batch; the first one writes, evaluates, and has the metrics.

    Returns:
        Record with status `ok` or `diverged`; the caller writes it.

    Raises:
        NormLabError: the configuration cannot be run, in one sentence.
    """
    started, start = datetime.datetime.now(datetime.UTC), time.perf_counter()
    place = join_group(cfg.trainer)
    device = device_of(cfg.trainer)
    setup = set_up(cfg, device=device, place=place)
    check_evaluations([wanted.value for wanted in cfg.evaluations], setup.data.modality)
    check_beforehand(setup, place)
    # 20 points of a curve or more, and a look for divergence every 50 steps at the latest.
    task = Task(setup, cfg.trainer.chunk_steps or max(1, min(50, setup.steps // 20)))
    # Before loggers are built: a refused run leaves nothing behind.
    if cfg.trainer.resume:
        task.step = check_checkpoint(Path(cfg.trainer.resume), task, setup.steps)
    first = task.step
    config = to_dict(cfg)
    probes = build_probes(cfg.probes)
    loggers = []
    if run_dir and place.first:
        name = f"{cfg.norm.kind}-{cfg.model.name}-{cfg.data.name}-s{cfg.seed}"
        loggers = build_loggers(cfg, run_dir, name, config)
    record = _new_record(cfg, config, setup)
    record.started = started.isoformat(timespec="seconds")
    record.device = device_name(device, place.world_size)
    try:
        callbacks = [*probes, *_own_callbacks(cfg, run_dir, place)]
        trainer = build_trainer(cfg.trainer, callbacks, loggers, place)
        began = time.perf_counter()
        trainer.fit(task, task.chunks(), ckpt_path=cfg.trainer.resume, weights_only=True)
        # A GPU may still be at work when the loop has ended: its last steps count, too.
        synchronise(device)
        trained_s = time.perf_counter() - began
        if task.step < setup.steps and not task.message:
            raise RuntimeError(f"the training ended after {task.step} of {setup.steps} steps")
        # The other processes end here; the first one evaluates alone.
        leave_group(task)
        samples_per_step = cfg.data.batch_size * cfg.trainer.accumulate
        record.steps, record.samples = task.step, task.step * samples_per_step
        record.curve = task.curve
        if place.first:
            # Lightning leaves the model on the CPU when a fit ends.
            task.to(device)
            # The seconds are of this process: so are the steps, where a run was resumed.
            rate = round((task.step - first) * samples_per_step / trained_s)
            record.metrics = {**_final_metrics(setup, task.curve), "samples_per_s": rate}
        record.duration_s = round(time.perf_counter() - start, 3)
        for probe in probes:
            record.probes += probe.rows
        # Last: the loggers close a run that has a status as one that succeeded.
        record.status, record.message = _outcome(task.message, setup, record)
    finally:
        close_loggers(loggers, record)
    return record


def _own_callbacks(cfg: Config, run_dir: Path | None, place: Place) -> list[L.Callback]:
    callbacks: list[L.Callback] = []
    wanted = cfg.trainer.progress
    if place.first and (sys.stdout.isatty() if wanted is None else wanted):
        samples_per_step = cfg.data.batch_size * cfg.trainer.accumulate
        callbacks.append(Progress(f"{cfg.norm.kind} {cfg.model.name}", samples_per_step))
    if run_dir and cfg.trainer.checkpoint_every:
        callbacks.append(SaveCheckpoint(run_dir, cfg.trainer.checkpoint_every))
    return callbacks


def _new_record(cfg: Config, config: dict[str, Any], setup: Setup) -> Record:
    return Record(
        key=trial_key(config),
        config=config,
        claim=cfg.claim,
        arm=cfg.arm,
        seed=cfg.seed,
        stage=cfg.stage,
        versions=versions() | target_hash(config["norm"]),
        data=setup.source,
        code=code_state(),
    )


def _outcome(message: str, setup: Setup, record: Record) -> tuple[str, str]:
    """Status and message of a run that has ended, `message` saying why it diverged, or ""."""
    message = message or _not_trained(setup, record)
    return ("diverged", message) if message else ("ok", "")


def _not_trained(setup: Setup, record: Record) -> str:
    """Why a run that came to its last step has no network that trains, or "".

    Of a process that evaluates nothing it says nothing.
    """
    if not record.metrics:
        return ""
    loss = record.metrics["val_loss"]
    losses = [value for value in record.curve["train_loss"] if value is not None]
    if loss is None or not math.isfinite(loss):
        return "the validation loss is not finite after the last step"
    return stuck(loss, losses, setup.data.trivial_loss, setup.steps) or ""


def _final_metrics(setup: Setup, curve: dict[str, list[Any]]) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "train_loss": curve["train_loss"][-1],
        "trivial_loss": setup.data.trivial_loss,
    }
    for split in ("val", "test"):
        loss, accuracy = evaluate(setup.model, setup.data.eval_batches(split), setup.bf16)
        metrics |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
    for wanted in setup.cfg.evaluations:
        metrics |= evaluation(wanted.value, setup)
    return metrics
