"""`normlab rerun`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def rerun(
    run_dir: Annotated[Path, typer.Argument(help="The folder of a run of train.py.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings to change, as optim.lr=0.1.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The new run's folder.  [default: one below runs/]")
    ] = None,
) -> None:
    """Train a run once more from what its folder says, and compare the bits."""
    from normlab.train.job import summary
    from normlab.train.rerun import rerun as train_again

    done = train_again(run_dir, overrides or (), out)
    print(f"{summary(done.record)}  [{os.path.relpath(done.path)}]")
    if done.difference:
        print(f"not the bits of {run_dir}: {done.difference}.")
        sys.exit(1)
    if done.difference is not None:
        print(f"the same bits as {run_dir}: trial {done.record.key}.")
