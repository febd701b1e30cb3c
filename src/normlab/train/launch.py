"""Around Hydra's main: bad input becomes one sentence, a sweep ends with a table.

Nothing heavy is imported here.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import hydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException, ValidationError

from normlab.errors import refuse
from normlab.records.places import CONF
from normlab.train.job import OUTCOMES, run_job, unwritable
from normlab.train.table import print_table
from normlab.training.processes import under_torchrun

_inside_job = False  # whether what is raised comes from our job, and not from Hydra around it


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _job(node: DictConfig) -> None:
    global _inside_job
    _inside_job = True
    run_job(node)
    # Not in a `finally`: it must still be true for whoever handles what the job raised.
    _inside_job = False


def launch() -> None:
    """Run the job or sweep in `sys.argv`, and exit.

    With status 0 for ok and diverged, 1 for a failed job, 2 for bad input. HYDRA_FULL_ERROR=1 in
    the environment brings back every traceback.
    """
    if os.environ.get("HYDRA_FULL_ERROR"):
        _job()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises, and the sentence is ours
    with tempfile.TemporaryDirectory(prefix="normlab-") as scratch:
        outcomes = Path(scratch, f"sweep-{datetime.now():%Y-%m-%d-%H-%M-%S}")
        outcomes.mkdir()
        # By the environment, which a launcher's worker processes inherit. A job that is none of a
        # sweep leaves nothing there.
        os.environ[OUTCOMES] = str(outcomes)
        if under_torchrun() and os.environ["RANK"] != "0":  # the first has the run directory
            sys.argv += [f"hydra.run.dir={scratch}", "hydra.output_subdir=null"]
        try:
            _job()
        except (HydraException, OmegaConfBaseException) as error:
            refuse(_sentence(error))
        except OSError as error:
            if _inside_job or error.filename is None:
                raise
            # Hydra could not make the run directory.
            refuse(unwritable(error.filename))
        finally:
            # However the sweep ended: the jobs that are done have left their outcome.
            failed = print_table(outcomes)
    if failed:
        sys.exit(1)


def _sentence(error: BaseException) -> str:
    """One sentence, with the valid choices, for what Hydra and OmegaConf refuse.

    Hydra wraps what OmegaConf raises, and itself: the error that knows the choices may be any of
    the causes of the one that arrives here.
    """
    for cause in _causes(error):
        sentence = (
            _unknown_choice(cause)
            or _wrong_value(cause)
            or _unknown_key(cause)
            or _several_values(cause)
        )
        if sentence:
            return sentence
    return f"{' '.join(str(error).split()).rstrip('.')}."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error itself, what it was raised from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _unknown_choice(error: BaseException) -> str | None:
    """Of `norm=nothing`: no file of that name in the group's folder."""
    if not (isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options):
        return None
    group, _, name = error.missing_cfg_file.rpartition("/")
    # `_batchnorm` and the like are schemas, which defaults lists name, and no choices.
    valid = [option for option in error.options if not option.startswith("_")]
    return f"unknown {group} {name!r}: choose one of {', '.join(valid)}."


def _wrong_value(error: BaseException) -> str | None:
    """Of `optim.lr=fast`: a value of another type than the schema's."""
    if not isinstance(error, ValidationError):
        return None
    first_line = str(error.msg or error).splitlines()[0]
    return f"{error.full_key}: {first_line.rstrip('.')}."


def _unknown_key(error: BaseException) -> str | None:
    """Of `optim.foo=1`: no such key in the schema."""
    if not isinstance(error, OmegaConfBaseException) or error.parent_node is None:
        return None
    # A kind is chosen by `norm=`, and Hydra's settings are no part of the configuration.
    keys = [str(key) for key in error.parent_node if key not in ("kind", "hydra")]
    where = str(error.full_key).rpartition(".")[0] or "the configuration"
    return f"unknown key {error.full_key!r}: {where} has {', '.join(keys)}."


def _several_values(error: BaseException) -> str | None:
    """Of `norm=batchnorm,groupnorm` for a single job: Hydra's words, in an error without fields."""
    found = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.+)'", str(error))
    return f"{found[1]} has several values: add -m to sweep over them." if found else None
