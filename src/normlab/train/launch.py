"""Around Hydra's main: bad input becomes one sentence, a sweep ends with a table.

Nothing heavy is imported here.
"""

import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from normlab.errors import NormLabError, refuse
from normlab.records.places import CONF
from normlab.train.arguments import check_left_out, with_saved_config
from normlab.train.interrupts import Interrupts
from normlab.train.job import OUTCOMES, run_job, unwritable
from normlab.train.sentences import sentence_of
from normlab.train.table import print_table
from normlab.training.processes import under_torchrun

_inside_job = False  # whether what is raised comes from our job, and not from Hydra around it
_interrupts = Interrupts()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _job(node: DictConfig) -> None:
    global _inside_job
    if _interrupts.came:  # and was lost on its way here
        raise KeyboardInterrupt
    _inside_job = True
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        _interrupts.run_dir = Path(HydraConfig.get().runtime.output_dir)
    run_job(node)
    # Not in a `finally`: it must still be true for whoever handles what the job raised.
    _inside_job = False


def launch() -> None:
    """Run the job or sweep in `sys.argv`, and exit.

    With status 0 for ok and diverged, 1 for a failed job, 2 for bad input, 130 after Ctrl-C.
    HYDRA_FULL_ERROR=1 in the environment brings back every traceback.
    """
    tracebacks = bool(os.environ.get("HYDRA_FULL_ERROR"))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises, and the sentence is ours
    try:
        check_left_out(sys.argv)
    except NormLabError as error:
        refuse(error)
    sys.argv = with_saved_config(sys.argv)
    with tempfile.TemporaryDirectory(prefix="normlab-") as scratch, _interrupts:
        outcomes = Path(scratch, f"sweep-{datetime.now():%Y-%m-%d-%H-%M-%S}")
        outcomes.mkdir()
        _interrupts.outcomes = outcomes
        # By the environment, which a launcher's worker processes inherit. A job that is none of a
        # sweep leaves nothing there.
        os.environ[OUTCOMES] = str(outcomes)
        if under_torchrun() and os.environ["RANK"] != "0":  # the first has the run directory
            sys.argv += [f"hydra.run.dir={scratch}", "hydra.output_subdir=null"]
        try:
            _job()
        except (HydraException, OmegaConfBaseException) as error:
            if tracebacks or _interrupts.came:
                raise
            refuse(sentence_of(error))
        except OSError as error:
            if _inside_job or error.filename is None or tracebacks or _interrupts.came:
                raise
            # Hydra could not make the run directory.
            refuse(unwritable(error.filename))
        finally:
            # However the sweep ended: the jobs that are done have left their outcome.
            failed = print_table(outcomes)
    if failed:
        sys.exit(1)
