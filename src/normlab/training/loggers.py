"""Lightning loggers from the `logger` group, for looking at curves.

`record.json` is written whatever they are.
"""

import netrc
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from torch import Tensor

from normlab.config.schema import Config, WandbConfig
from normlab.models.options import TransformerConfig
from normlab.records.record import Record
from normlab.training.lightning import CSVLogger, Logger, TensorBoardLogger, WandbLogger

# Charts that TensorBoard shows side by side, by regular expressions of tags, over all runs of a
# folder.
LAYOUT = {
    "training": {
        "loss": ["Multiline", ["train/loss", "val/loss"]],
        "accuracy": ["Multiline", ["val/accuracy", "final/test_accuracy"]],
        "learning rate": ["Multiline", ["lr"]],
    },
    "inside": {
        "gradient norm by layer": ["Multiline", ["gradient_norm/norm/.*"]],
        "variance of activations by layer": ["Multiline", ["activations/variance/.*"]],
        "drift of running means by layer": ["Multiline", ["running_stats/mean_drift/.*"]],
    },
}
_TAG_LENGTH = 64  # wandb refuses a longer one


def build_loggers(
    cfg: Config, run_dir: Path, name: str, parameters: dict[str, Any]
) -> list[Logger]:
    """The loggers that `cfg.logger` switches on, with the run's `parameters` already in them."""
    loggers: list[Logger] = []
    if cfg.logger.csv:
        loggers.append(CSVLogger(run_dir, name="csv", version="", flush_logs_every_n_steps=1))
    if cfg.logger.tensorboard:
        board = TensorBoardLogger(run_dir, name="tensorboard", version="", default_hp_metric=False)
        board.experiment.add_custom_scalars(LAYOUT)
        loggers.append(board)
    if cfg.logger.wandb is not None:
        loggers.append(_wandb_logger(cfg, cfg.logger.wandb, run_dir, name))
    for logger in loggers:
        logger.log_hyperparams(parameters)
    return loggers


def _wandb_logger(cfg: Config, options: WandbConfig, run_dir: Path, name: str) -> WandbLogger:
    """A run of its own, online with a key that works, else offline; never a question."""
    import wandb

    mode, reason = wandb_mode()
    # A sweep sets the variable for its jobs, so that their runs stand together.
    group = options.group or os.environ.get("NORMLAB_SWEEP")
    of_claim = {"claim": cfg.claim, "arm": cfg.arm}
    tags = [f"{what}: {value}"[:_TAG_LENGTH] for what, value in of_claim.items() if value]

    def start(mode: Any) -> WandbLogger:
        run = wandb.init(
            project=options.project,
            name=name,
            group=group,
            job_type=cfg.stage or ("sweep" if group else "train"),
            tags=[*options.tags, *tags],
            config={"panels": panel_keys(cfg)},
            dir=str(run_dir),
            mode=mode,
            # A process may hold several runs, one after another: each trial has its own.
            reinit="create_new",
            # 30 s for a server that accepts and then says nothing.
            settings=wandb.Settings(silent=True, init_timeout=30, console="off"),
        )
        return WandbLogger(experiment=run)

    try:
        logger = start(mode)
    except (wandb.Error, OSError) as error:
        if mode != "online":
            raise
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        mode, reason = "offline", f"online failed: {first_line}"
        logger = start(mode)
    hint = ""
    if mode == "offline":
        hint = f"; push it later with: wandb sync {Path(logger.experiment.dir).parent}"
    print(f"wandb: {mode} ({reason}){hint}", file=sys.stderr)
    return logger


def wandb_mode() -> tuple[str, str]:
    """(`online`, `offline` or what WANDB_MODE says, and why). A second at most, and no prompt."""
    if mode := os.environ.get("WANDB_MODE"):
        return mode, "WANDB_MODE"
    url = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    host = url.hostname or ""
    if not (os.environ.get("WANDB_API_KEY") or _netrc_key(host)):
        return "offline", "no key"
    try:
        port = url.port or (80 if url.scheme == "http" else 443)
        socket.create_connection((host, port), timeout=1).close()
    except (OSError, ValueError):  # no number is the port, or none that there can be
        return "offline", f"{host} does not answer"
    return "online", host


def _netrc_key(host: str) -> str | None:
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return entry[2] if entry else None


def panel_keys(cfg: Config) -> dict[str, str | int]:
    """What the dashboards group and order runs by, and no single key of a configuration says."""
    keys: dict[str, str | int] = {
        "norm": cfg.norm.kind,
        "normalization_batch": cfg.normalization_batch,
    }
    if isinstance(cfg.model, TransformerConfig):
        keys["placement_depth"] = f"{cfg.model.placement.value}, {cfg.model.depth} layers"
    return keys


def log_histograms(logger: Any, values: dict[str, Tensor], step: int) -> None:
    """A histogram of each tensor under its tag, where the logger has histograms."""
    if isinstance(logger, TensorBoardLogger):
        for tag, tensor in values.items():
            logger.experiment.add_histogram(tag, tensor, step)
    elif isinstance(logger, WandbLogger):
        import wandb

        drawn: Any = {
            tag: wandb.Histogram(np_histogram=np.histogram(tensor.numpy(), bins=64))
            for tag, tensor in values.items()
        }
        logger.log_metrics(drawn, step=step)


def close_loggers(loggers: list[Logger], record: Record) -> None:
    """Give every logger the final metrics of a finished record, and close it.

    Raises nothing: what goes wrong here is a warning, for the record counts, and so does an error
    of the training.
    """
    for logger in loggers:
        try:
            _close(logger, record)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            print(
                f"warning: {type(logger).__name__} was not closed ({reason}): its curves may lack "
                "their end, the record is not affected.",
                file=sys.stderr,
            )


def _close(logger: Logger, record: Record) -> None:
    """A wandb run takes the record along and is finished, so that the next run starts its own."""
    finished = record.status in ("ok", "diverged")
    try:
        if finished:
            final = {
                f"final/{name}": value
                for name, value in record.metrics.items()
                if isinstance(value, float)
            }
            logger.log_metrics(final, step=record.steps)
        logger.finalize("success" if finished else "failed")
        if finished and isinstance(logger, WandbLogger) and not logger.experiment.disabled:
            _log_record(logger.experiment, record)
    finally:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=0 if finished else 1)


def _log_record(run: Any, record: Record) -> None:
    """The record as an artifact, from a file in the run's own folder.

    So nothing is copied to the home directory until it is sent.
    """
    import wandb

    path = Path(run.dir).parent / "record.json"
    record.write(path)
    artifact = wandb.Artifact(f"record-{record.key}", type="record")
    artifact.add_file(str(path), policy="immutable", skip_cache=True)
    run.log_artifact(artifact)
