"""Where configuration, experiments and records lie: the one place that knows.

In a checkout all of them lie beside `src`. An installed package carries copies of its own, which
are only read; what it measures is written to `results/` in the working folder, and read with them.
"""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
_SHIPPED = PACKAGE / "_shipped"  # made by setup.py when a wheel is built
# The checkout that this package is imported from; None where it is installed.
CHECKOUT = None if _SHIPPED.is_dir() else PACKAGE.parents[1]

_HOME = CHECKOUT or _SHIPPED
CONF = _HOME / "conf"
# NORMLAB_EXPERIMENTS names a folder of claims of one's own.
EXPERIMENTS = Path(os.environ.get("NORMLAB_EXPERIMENTS") or _HOME / "experiments")
RESULTS = (CHECKOUT or Path.cwd()) / "results"  # where results are written


def read_together(folder: Path) -> tuple[Path, ...]:
    """The folders whose records count as one with those of the results folder `folder`, in order.

    The records that came with an installed package stand before those of the working folder, so
    that a trial which was run again there counts. Any other folder stands alone.
    """
    inside = folder.resolve().is_relative_to(RESULTS.resolve())
    if CHECKOUT is not None or not inside:
        return (folder,)
    return (_SHIPPED / "results" / folder.resolve().relative_to(RESULTS.resolve()), folder)


def newest(folder: Path, name: str) -> Path:
    """The file `name` of the results folder `folder`, or the one that came with the package.

    A folder that has neither gives its own, which does not exist.
    """
    # The working folder stands last, and what is written there is newer than what was shipped.
    files = [place / name for place in reversed(read_together(folder))]
    return next((file for file in files if file.is_file()), files[0])
