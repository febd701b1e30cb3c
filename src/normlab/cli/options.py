"""Options that several commands have in common."""

from pathlib import Path
from typing import Annotated

import typer

# `[default: ...]` is written out where None stands for it: typer would show none.
Results = Annotated[
    Path | None, typer.Option("--results", help="The results folder.  [default: results/]")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
Workers = Annotated[int | None, typer.Option(help="Processes.  [default: one per core]")]
Minutes = Annotated[
    float | None, typer.Option(help="Start no trial after this; run again to go on.")
]

MODEL_NAME = "torchvision:NAME, timm:NAME, transformers:MODEL_TYPE, or package.module:FUNCTION."
CHECKPOINT = "last.ckpt of train.py trainer.checkpoint_every=N."
