"""Arguments of train.py that Hydra would take otherwise, or answer in words of its own.

The recipe `--config-path RUN/.hydra --config-name config`, which people paste, runs a saved
configuration; `~norm` leaves out what every run has.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from normlab.errors import NormLabError
from normlab.records.places import CONF

_GROUPS = ("norm", "reparam", "model", "data", "optim", "trainer")
_FLAGS = ("--config-path", "-cp")
# Settings of Hydra in conf/config.yaml, which are not in the saved file.
_PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")


def check_left_out(argv: Sequence[str]) -> None:
    """Return if no group is left out that every run has: Hydra would miss a part of a folder's
    name, and speak of that.

    Raises:
        NormLabError: one is.
    """
    for word in argv:
        name = word.removeprefix("~").partition("=")[0]
        if word.startswith("~") and name in _GROUPS:
            valid = sorted(file.stem for file in (CONF / name).glob("*.yaml"))
            raise NormLabError(f"{word}: every run has a {name}; choose one of {', '.join(valid)}.")


def with_saved_config(argv: Sequence[str]) -> list[str]:
    """`argv` with the folder of a saved configuration from the working folder on.

    Hydra would look for a relative one in the package, and write the run to outputs/.
    """
    kept = list(argv)
    for place, word in enumerate(kept):
        flag, equals, value = word.partition("=")
        if flag not in _FLAGS:
            continue
        if not equals and place + 1 < len(kept):
            value = kept[place + 1]
        folder = Path(value)
        if not folder.is_dir():
            continue
        if equals:
            kept[place] = f"{flag}={os.path.abspath(value)}"
        else:
            kept[place + 1] = os.path.abspath(value)
        if folder.name == ".hydra":
            given = {one.partition("=")[0] for one in argv}
            kept += [f"{key}={value}" for key, value in places().items() if key not in given]
    return kept


def places() -> dict[str, str]:
    """What conf/config.yaml has for folders of runs, by Hydra's keys, as it is written there."""
    from omegaconf import OmegaConf

    # Not by OmegaConf.select, which would resolve what only Hydra can: `${now:...}`.
    hydra: Any = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    places = {}
    for key in _PLACES:
        group, name = key.split(".")[1:]
        places[key] = str(hydra["hydra"][group][name])
    return places
