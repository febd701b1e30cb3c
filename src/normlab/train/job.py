"""One job of `train.py`: skip it if a sweep has done it, train, write record.json, say one line."""

import json
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from normlab.config.compose import plain, to_dict, typed
from normlab.config.schema import Config
from normlab.data import check_available
from normlab.errors import NormLabError, refuse
from normlab.records.files import held
from normlab.records.record import Record, trial_key
from normlab.records.store import DONE
from normlab.training.processes import backend_of, run_group, under_torchrun, wait_of

# The folder in which the jobs of a sweep leave their outcome for the table at its end. It has the
# name of the sweep.
OUTCOMES = "NORMLAB_OUTCOMES"


def run_job(node: DictConfig) -> None:
    """Run what Hydra has composed, in Hydra's run directory.

    In a sweep a trial that is done already is skipped, and whatever goes wrong becomes a record
    with status `failed`, so that the other jobs run. Alone, the record is written all the same, and
    the process ends: with a sentence and status 2 for bad input, with the traceback for what is a
    bug of ours.
    """
    hydra = HydraConfig.get()
    run_dir = Path(hydra.runtime.output_dir)
    path = run_dir / "record.json"
    # Hydra alone knows: -m, --multirun and hydra.mode=MULTIRUN mean the same.
    sweep = hydra.mode == RunMode.MULTIRUN
    folder = os.environ.get(OUTCOMES) if sweep else None
    if folder:
        # The runs of its jobs stand together where they are logged.
        os.environ.setdefault("NORMLAB_SWEEP", Path(folder).name)
    # Each of torchrun's processes comes here: the first writes and prints for all.
    if under_torchrun():
        if sweep:
            refuse(
                "torchrun starts the processes of one job: leave it out, and -m starts those of "
                "each by itself."
            )
        if os.environ["RANK"] != "0":
            _follow(node, run_dir)
            return
    with _alone(run_dir) if sweep else nullcontext():
        record = Record.read(path) if sweep else None
        skipped = record is not None and record.status in DONE
        if record is None or not skipped:
            record = _attempt(node, run_dir, alone=not sweep)
            _write(record, path)
    if record.status == "failed" and not sweep:
        refuse(record.message)  # SystemExit, which Hydra passes on without words of its own
    line = f"done before: {summary(record)}" if skipped else summary(record)
    print(f"{line}  [{os.path.relpath(path)}]", flush=True)
    if folder:
        outcome = {
            "folder": str(run_dir.parent),
            "skipped": skipped,
            "summary": json.loads(record.to_json()),
        }
        (Path(folder) / f"{hydra.job.num:06d}.json").write_text(json.dumps(outcome))


@contextmanager
def _alone(run_dir: Path) -> Iterator[None]:
    """Inside, no other sweep runs the same trial; one that does is waited for, and its result
    found."""
    try:
        with held(run_dir, f"another sweep runs the trial in {os.path.relpath(run_dir)}: waiting."):
            yield
    except PermissionError as error:
        if error.filename != str(run_dir / ".lock"):
            raise
        refuse(unwritable(run_dir))


def _attempt(node: DictConfig, run_dir: Path, alone: bool) -> Record:
    """The record of the training, or of why there is none.

    Raises what is a bug of ours where the job is alone, once its record is written.
    """
    try:
        cfg = typed(node)
        check_available(cfg.data)  # before torch is imported: an answer within a second
        return train(cfg, run_dir)
    except NormLabError as error:
        return _failed(node, str(error))
    except Exception as error:
        record = _failed(node, f"{type(error).__name__}: {error}")
        if alone:
            _write(record, run_dir / "record.json")
            raise
        (run_dir / "error.log").write_text(traceback.format_exc())
        return record


def _failed(node: DictConfig, message: str) -> Record:
    # What was composed, not a `Config`: that it makes none may be the failure.
    config = plain(node)
    return Record(trial_key(config), config, seed=config["seed"], status="failed", message=message)


def _write(record: Record, path: Path) -> None:
    try:
        record.write(path)
    except OSError:
        refuse(unwritable(path.parent))


def unwritable(folder: object) -> str:
    """The sentence for a run directory that cannot be made or written to."""
    return (
        f"the run directory {str(folder)!r} cannot be written; pass hydra.run.dir=<a folder of "
        "yours>."
    )


def train(cfg: Config, run_dir: Path) -> Record:
    """In this process, or in as many as `trainer.devices` says."""
    devices = cfg.trainer.devices or 1
    if devices <= 1 or under_torchrun():
        from normlab.training.fit import fit

        return fit(cfg, run_dir)
    from normlab.data.sampling import local_part

    # Refused here, not seconds later by each process.
    local_part(cfg.data.batch_size, 0, devices)
    # Lightning would start the other processes with this one's command: that of a sweep with all
    # its jobs.
    records = run_group(
        _train_member,
        devices,
        to_dict(cfg),
        run_dir,
        backend=backend_of(cfg.trainer),
        wait_s=wait_of(cfg.trainer),
        preload=("normlab.training.fit",),
    )
    return Record.from_json(records[0])


def _train_member(config: dict[str, Any], run_dir: Path) -> str | None:
    """In one process of a group: the record, as JSON, from the first; None from the others."""
    from normlab.training.fit import fit

    record = fit(typed(OmegaConf.create(config)), run_dir)
    return record.to_json() if os.environ["RANK"] == "0" else None


def _follow(node: DictConfig, run_dir: Path) -> None:
    """As one of torchrun's processes that is not the first: train along, and say nothing."""
    from normlab.training.fit import fit

    fit(typed(node), run_dir)


def summary(record: Record) -> str:
    """The line that a run ends with."""
    metrics = record.metrics
    data = record.data.get("name") or record.section("data")["name"]
    what = f"{record.section('norm')['kind']} {record.section('model')['name']} {data}"
    head = f"{what} seed {record.seed}: {record.status}"
    if record.status == "failed":
        return f"{head}: {record.message}"
    if record.status == "diverged":
        head += f" ({record.message})"

    def show(name: str) -> str:
        value = metrics.get(name)
        # null in a record that was read back, NaN in one just made.
        return "not finite" if value is None or value != value else f"{value:.3f}"

    return (
        f"{head}, test accuracy {show('test_accuracy')}, test loss {show('test_loss')}, "
        f"val loss {show('val_loss')}, {record.steps} steps at {metrics['samples_per_s']:,} "
        f"samples/s, {record.duration_s:.1f} s in all"
    )
