"""Around Hydra's main: bad input becomes one sentence, a sweep ends with a table. Nothing heavy is imported here."""

import json
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import hydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException, ValidationError

from normlab.errors import refuse
from normlab.records.places import CONF
from normlab.train.job import OUTCOMES, run_job
from normlab.training.processes import under_torchrun


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _job(cfg: DictConfig) -> None:
    run_job(cfg)


def launch() -> None:
    """Run the job or sweep in `sys.argv`; exit with 0 for ok and diverged, 1 for a failed job, 2 for bad input.

    HYDRA_FULL_ERROR=1 in the environment brings back every traceback.
    """
    if os.environ.get("HYDRA_FULL_ERROR"):
        return _job()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises, and the sentence is ours
    sweep = any(argument in ("-m", "--multirun") for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="normlab-") as outcomes:
        if (
            under_torchrun() and os.environ["RANK"] != "0"
        ):  # the first process has the run directory
            sys.argv += [f"hydra.run.dir={outcomes}", "hydra.output_subdir=null"]
        if sweep:
            os.environ[OUTCOMES] = outcomes
            os.environ.setdefault("NORMLAB_SWEEP", f"sweep-{datetime.now():%Y-%m-%d-%H-%M-%S}")
        try:
            _job()
        except (HydraException, OmegaConfBaseException) as error:
            refuse(_sentence(error))
        except (PermissionError, NotADirectoryError, FileExistsError, OSError) as error:
            if not _from_run_directory(error):
                raise
            refuse(
                f"the run directory {error.filename!r} cannot be written; pass hydra.run.dir=<a folder of yours>."
            )
        finally:
            failed = _print_table(Path(outcomes)) if sweep else 0
    if failed:
        sys.exit(1)


def _sentence(error: BaseException) -> str:
    """One sentence, with the valid choices, for what Hydra and OmegaConf refuse."""
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    for link in chain:
        if isinstance(link, MissingConfigException) and link.missing_cfg_file and link.options:
            group, _, name = link.missing_cfg_file.rpartition("/")
            valid = [option for option in link.options if not option.startswith("_")]
            return f"unknown {group} {name!r}: choose one of {', '.join(valid)}."
        if isinstance(link, ValidationError):
            return f"{link.full_key}: {str(link.msg or link).splitlines()[0].rstrip('.')}."
        parent = getattr(link, "parent_node", None)
        if isinstance(link, OmegaConfBaseException) and parent is not None:
            keys = ", ".join(str(key) for key in parent if key not in ("kind", "hydra"))
            where = str(link.full_key).rpartition(".")[0] or "the configuration"
            return f"unknown key {link.full_key!r}: {where} has {keys}."
    if "add --multirun" in str(error):
        return f"{str(error).splitlines()[0].split(chr(39))[1]} has several values: add -m to sweep over them."
    first = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return (
        first
        if isinstance(error, ConfigCompositionException | HydraException)
        else f"{first.rstrip('.')}."
    )


def _from_run_directory(error: OSError) -> bool:
    """Whether Hydra itself failed to make the run directory, before our code was reached."""
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") == "normlab.train.job":
            return error.filename is not None and "record" in str(error.filename)
        traceback = traceback.tb_next
    return error.filename is not None


def _print_table(folder: Path) -> int:
    """The outcome of every job of a sweep; returns how many failed."""
    outcomes = [json.loads(file.read_text()) for file in sorted(folder.iterdir())]
    if not outcomes:
        return 0
    from rich.console import Console
    from rich.table import Table

    columns = list(
        dict.fromkeys(
            item.split("=", 1)[0] for outcome in outcomes for item in outcome["overrides"]
        )
    )
    values = [dict(item.split("=", 1) for item in outcome["overrides"]) for outcome in outcomes]
    varied = [
        column for column in columns if len({row.get(column) for row in values}) > 1
    ] or columns
    table = Table(
        *varied,
        "status",
        "test accuracy",
        "test loss",
        "val loss",
        "seconds",
        box=None,
        pad_edge=False,
    )
    for outcome, row in zip(outcomes, values, strict=True):
        record = outcome["summary"]
        status = record["status"] + (" (done before)" if outcome["skipped"] else "")
        if record["status"] == "failed":
            status += f": {record['message']}"
        metrics = record["metrics"]
        numbers = [
            f"{metrics[name]:.4f}" if metrics.get(name) is not None else "-"
            for name in ("test_accuracy", "test_loss", "val_loss")
        ]
        table.add_row(
            *(row.get(column, "") for column in varied),
            status,
            *numbers,
            f"{record['duration_s']:.1f}",
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return sum(outcome["summary"]["status"] not in ("ok", "diverged") for outcome in outcomes)
