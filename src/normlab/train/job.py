"""One job of `train.py`: skip it if a sweep has done it, train, write record.json, say one line."""

import json
import os
import traceback
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from normlab.config.schema import check_keys, to_dict
from normlab.data import check_available
from normlab.errors import NormLabError, refuse
from normlab.records.record import Record, trial_key
from normlab.training.processes import backend_of, run_group, under_torchrun, wait_of

DONE = ("ok", "diverged")
OUTCOMES = "NORMLAB_OUTCOMES"  # the folder in which the jobs of a sweep leave their outcome for the table at its end


def run_job(cfg: Any) -> None:
    """Run `cfg` in Hydra's run directory.

    In a sweep a trial that is done already is skipped, and whatever goes wrong becomes a record with status `failed`,
    so that the other jobs run. Alone, the record is written all the same, and the process ends: with a sentence and
    status 2 for bad input, with the traceback for what is a bug of ours.
    """
    hydra = HydraConfig.get()
    run_dir = Path(hydra.runtime.output_dir)
    path = run_dir / "record.json"
    sweep = hydra.mode == RunMode.MULTIRUN
    if under_torchrun():
        if sweep:
            refuse(
                "torchrun starts the processes of one job: leave it out, and -m starts those of each by itself."
            )
        if os.environ["RANK"] != "0":
            from normlab.training.fit import fit

            fit(cfg, run_dir)
            return
    record = Record.read(path) if sweep else None
    skipped = record is not None and record.status in DONE
    if not skipped:
        record = _attempt(cfg, run_dir, path, alone=not sweep)
    assert record is not None
    line = summary(record) if not skipped else f"done before: {summary(record)}"
    print(f"{line}  [{os.path.relpath(path)}]", flush=True)
    if folder := os.environ.get(OUTCOMES):
        outcome = {
            "overrides": list(hydra.overrides.task),
            "skipped": skipped,
            "summary": json.loads(record.to_json()),
        }
        (Path(folder) / f"{hydra.job.num:06d}.json").write_text(json.dumps(outcome))


def _attempt(cfg: Any, run_dir: Path, path: Path, alone: bool) -> Record:
    try:
        check_keys(cfg)
        check_available(
            cfg.data
        )  # before torch is imported: missing data are reported within a second
        record = _train(cfg, run_dir)
    except Exception as error:
        ours = isinstance(error, NormLabError)
        config = to_dict(cfg)
        message = str(error) if ours else f"{type(error).__name__}: {error}"
        record = Record(trial_key(config), config, seed=cfg.seed, status="failed", message=message)
        record.write(path)
        if alone and ours:
            refuse(error)  # SystemExit, which Hydra passes on without words of its own
        if alone:
            raise
        if not ours:
            (run_dir / "error.log").write_text(traceback.format_exc())
    else:
        record.write(path)
    return record


def _train(cfg: Any, run_dir: Path) -> Record:
    devices = cfg.trainer.devices or 1
    if devices <= 1 or under_torchrun():
        from normlab.training.fit import fit

        return fit(cfg, run_dir)
    # Lightning would start the other processes with this one's command: that of a sweep with all its jobs.
    arguments = (list(HydraConfig.get().overrides.task), trial_key(to_dict(cfg)), run_dir)
    first, *_ = run_group(
        _train_rank,
        devices,
        *arguments,
        backend=backend_of(cfg.trainer),
        wait_s=wait_of(cfg.trainer),
    )
    return Record.from_json(first)


def _train_rank(overrides: list[str], key: str, run_dir: Path) -> str | None:
    """In one process of a group: the record, as JSON, from the first; None from the others."""
    from normlab.config.schema import compose
    from normlab.training.fit import fit

    cfg = compose(overrides)
    if trial_key(to_dict(cfg)) != key:
        raise NormLabError(
            "trainer.devices takes its configuration from conf/: leave --config-dir and -name out."
        )
    record = fit(cfg, run_dir)
    return record.to_json() if os.environ["RANK"] == "0" else None


def summary(record: Record) -> str:
    """The line that a run ends with."""
    config, metrics = record.config, record.metrics
    what = f"{config['norm']['kind']} {config['model']['name']} {record.data.get('name', config['data']['name'])}"
    head = f"{what} seed {record.seed}: {record.status}"
    if record.status == "failed":
        return f"{head}: {record.message}"
    if record.status == "diverged":
        head += f" ({record.message})"

    def show(name: str) -> str:
        value = metrics.get(name)
        return "not finite" if value is None or value != value else f"{value:.3f}"

    return (
        f"{head}, test accuracy {show('test_accuracy')}, test loss {show('test_loss')}, val loss {show('val_loss')}, "
        f"{record.steps} steps in {record.duration_s:.1f} s ({metrics['samples_per_s']:,} samples/s)"
    )
