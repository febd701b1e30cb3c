"""fit(cfg) -> Record: one trial from a configuration, read from top to bottom."""

import datetime
import logging
import platform
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from normlab.config.schema import to_dict
from normlab.data import load_data
from normlab.errors import NormLabError
from normlab.models import build_model
from normlab.records.provenance import code_state
from normlab.records.record import Record, target_hash, trial_key
from normlab.training.callbacks import Progress, SaveCheckpoint
from normlab.training.checkpoints import check_checkpoint
from normlab.training.evaluations import evaluation
from normlab.training.lightning import L
from normlab.training.loggers import build_loggers, close_loggers
from normlab.training.parallel import Place, join, part, trainer_options
from normlab.training.probes import build_probes
from normlab.training.step import evaluate
from normlab.training.task import Task

DEFAULT_EPOCHS = 10


def fit(cfg: Any, run_dir: Path | None = None) -> Record:
    """Train and evaluate what `cfg` (the composed configuration) describes.

    With `run_dir`, loggers and checkpoints write there; without it nothing is written. The validation split is read
    during training if `trainer.eval_every` says so, the test split once, after the last step.

    With `trainer.devices` this is one of as many processes (see normlab.training.parallel), each with its part of every
    batch; the first one writes, evaluates, and has the metrics.

    Returns:
        Record with status `ok` or `diverged`; the caller writes it.

    Raises:
        NormLabError: the configuration cannot be run, in one sentence.
    """
    if cfg.seed < 0:
        raise NormLabError(f"seed={cfg.seed}: give 0 or a whole number above it.")
    started = datetime.datetime.now(datetime.UTC)
    place = join(cfg.trainer)
    device = _device(cfg.trainer)
    torch.manual_seed(cfg.seed)
    data = load_data(
        cfg.data, cfg.seed, device, place.rank, place.world_size, cfg.trainer.channels_last
    )
    model = build_model(cfg, data.modality, data.input_shape, data.num_outputs).to(device)
    if cfg.trainer.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    total_steps = _total_steps(cfg, data)
    chunk_steps = cfg.trainer.chunk_steps or max(1, min(50, total_steps // 20))
    task = Task(model, data, cfg, total_steps, chunk_steps)

    config = to_dict(cfg)
    probes = build_probes(cfg.probes)
    callbacks: list[L.Callback] = list(probes)
    if place.first and (
        cfg.trainer.progress if cfg.trainer.progress is not None else sys.stdout.isatty()
    ):
        callbacks.append(
            Progress(
                f"{cfg.norm.kind} {cfg.model.name}", cfg.data.batch_size * cfg.trainer.accumulate
            )
        )
    if run_dir and cfg.trainer.checkpoint_every:
        callbacks.append(SaveCheckpoint(run_dir, cfg.trainer.checkpoint_every))
    if cfg.trainer.resume:
        check_checkpoint(Path(cfg.trainer.resume), task)
    name = f"{cfg.norm.kind}-{cfg.model.name}-{cfg.data.name}-s{cfg.seed}"
    loggers = build_loggers(cfg.logger, run_dir, name, config) if run_dir and place.first else []

    record = Record(
        key=trial_key(config),
        config=config,
        claim=cfg.claim,
        arm=cfg.arm,
        seed=cfg.seed,
        stage=cfg.stage,
        versions=_versions() | target_hash(config["norm"]),
        device=_device_name(device, place.world_size),
        data={"name": data.name, "fingerprint": data.fingerprint},
        code=code_state(),
        started=started.isoformat(timespec="seconds"),
    )
    try:
        trainer = build_trainer(cfg.trainer, callbacks, loggers, place)
        began = time.perf_counter()
        trainer.fit(task, task.chunks(), ckpt_path=cfg.trainer.resume, weights_only=True)
        _synchronise(device)
        record.duration_s = round(time.perf_counter() - began, 3)
        part(task)
        record.metrics = _final_metrics(task.to(device), data, record) if place.first else {}
        record.status, record.message = ("diverged", task.message) if task.message else ("ok", "")
        record.steps = task.step
        record.samples = task.step * cfg.data.batch_size * cfg.trainer.accumulate
        record.curve = task.curve
        record.probes = [row for probe in probes for row in probe.rows]
    finally:
        close_loggers(loggers, record)
    return record


def build_trainer(
    cfg: Any, callbacks: list[L.Callback], loggers: list[Any], place: Place | None = None
) -> L.Trainer:
    """A Lightning trainer for one pass over a task's chunks."""
    # Lightning advises on workers, optimizers and hardware: none of it applies to tensors in memory and manual steps.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    return L.Trainer(
        accelerator=cfg.accelerator.value,
        **trainer_options(place or Place(), cfg),
        max_epochs=1,
        logger=loggers or False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def _final_metrics(task: Task, data: Any, record: Record) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "train_loss": task.curve["train_loss"][-1],
        "trivial_loss": data.trivial_loss,
    }
    for split in ("val", "test"):
        loss, accuracy = evaluate(task.model, data.eval_batches(split), task.bf16)
        metrics |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
    for name in task.cfg.evaluations:
        metrics |= evaluation(name.value, task)
    metrics["samples_per_s"] = round(
        task.step * task.cfg.data.batch_size * task.cfg.trainer.accumulate / record.duration_s
    )
    return metrics


def _total_steps(cfg: Any, data: Any) -> int:
    """Optimizer steps of the budget: epochs, steps or samples, one of them."""
    trainer = cfg.trainer
    given = {
        name: trainer[name]
        for name in ("max_epochs", "max_steps", "max_samples")
        if trainer[name] is not None
    }
    if len(given) > 1:
        raise NormLabError(
            f"{' and '.join(f'trainer.{n}={v}' for n, v in given.items())}: give one budget, not several."
        )
    for name, value in {
        **given,
        "accumulate": trainer.accumulate,
        "chunk_steps": trainer.chunk_steps or 1,
    }.items():
        if not value > 0:
            raise NormLabError(f"trainer.{name}={value}: give a number above 0.")
    if trainer.max_steps is not None:
        return trainer.max_steps
    samples = (
        trainer.max_samples
        or (trainer.max_epochs or DEFAULT_EPOCHS) * data.steps_per_epoch * cfg.data.batch_size
    )
    return max(1, int(samples / (cfg.data.batch_size * trainer.accumulate)))


def _device(cfg: Any) -> torch.device:
    if cfg.accelerator.value == "gpu":
        if not torch.cuda.is_available():
            raise NormLabError("trainer=gpu: no CUDA device is visible here; pass trainer=cpu.")
        return torch.device("cuda", torch.cuda.current_device())
    if cfg.threads < 1:
        raise NormLabError(f"trainer.threads={cfg.threads}: give a whole number of at least 1.")
    torch.set_num_threads(cfg.threads)
    return torch.device("cpu")


def _device_name(device: torch.device, count: int) -> str:
    times = f"{count} x " if count > 1 else ""
    if device.type == "cuda":
        return times + torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{times}cpu ({platform.machine()}, {threads} thread{'s' * (threads > 1)})"


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in ("torch", "lightning", "numpy", "normlab"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:  # run from a checkout with PYTHONPATH=src
            continue
    return versions
