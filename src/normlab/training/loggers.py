"""Lightning loggers from the `logger` group. `record.json` is always written; these are for looking at curves."""

import netrc
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger


def build_loggers(cfg: Any, run_dir: Path, name: str, config: dict[str, Any]) -> list[Logger]:
    """The loggers that `cfg` (group logger) switches on, with the run's configuration already in them."""
    loggers: list[Logger] = []
    if cfg.csv:
        loggers.append(CSVLogger(run_dir, name="csv", version="", flush_logs_every_n_steps=1))
    if cfg.tensorboard:
        loggers.append(TensorBoardLogger(run_dir, name="tensorboard", version="", default_hp_metric=False))
    if cfg.wandb is not None:
        loggers.append(_wandb_logger(cfg.wandb, run_dir, name))
    for logger in loggers:
        logger.log_hyperparams(config)
    return loggers


def _wandb_logger(cfg: Any, run_dir: Path, name: str) -> WandbLogger:
    """A run of its own, online with a key that works, else offline; never a question on the terminal."""
    import wandb

    mode, reason = wandb_mode()
    group = cfg.group or os.environ.get("NORMLAB_SWEEP")

    def start(mode: str) -> WandbLogger:
        run = wandb.init(
            project=cfg.project,
            name=name,
            group=group,
            tags=list(cfg.tags),
            dir=str(run_dir),
            mode=mode,  # type: ignore[arg-type]
            reinit="create_new",
            settings=wandb.Settings(silent=True, init_timeout=30, console="off"),
        )
        return WandbLogger(experiment=run)

    try:
        logger = start(mode)
    except (wandb.Error, OSError) as error:
        if mode != "online":
            raise
        mode, reason = "offline", f"online failed: {str(error).splitlines()[0]}"
        logger = start(mode)
    hint = "" if mode != "offline" else f"; push it later with: wandb sync {Path(logger.experiment.dir).parent}"
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
        socket.create_connection((host, url.port or 443), timeout=1).close()
    except OSError:
        return "offline", f"{host} does not answer"
    return "online", host


def _netrc_key(host: str) -> str | None:
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return entry[2] if entry else None


def close_loggers(loggers: list[Logger], status: str) -> None:
    """Flush every logger; a wandb run is finished, so that the next run of this process starts its own."""
    for logger in loggers:
        logger.finalize("success" if status in ("ok", "diverged") else "failed")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish(exit_code=0 if status in ("ok", "diverged") else 1)
