"""`normlab ...` for models of one's own. Heavy imports are inside the commands."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from normlab.app import command


class AdviceInput(StrEnum):
    """What a norm is to work on."""

    images = "images"
    vectors = "vectors"
    sequences = "sequences"
    causal = "causal"
    recurrent = "recurrent"


class Length(StrEnum):
    """Of the samples."""

    fixed = "fixed"
    variable = "variable"


class YesNo(StrEnum):
    """An answer."""

    yes = "yes"
    no = "no"


@command("advise")
def advise_(
    input: Annotated[AdviceInput | None, typer.Option(help="What is normalized; the layout follows.")] = None,
    batch: Annotated[int | None, typer.Option(help="The smallest batch on one device.")] = None,
    length: Annotated[Length | None, typer.Option(help="Of the samples.")] = None,
    devices: Annotated[int | None, typer.Option(help="Devices that train together.")] = None,
    fold: Annotated[YesNo | None, typer.Option(help="Must the norm fold into the weights at inference?")] = None,
    depth: Annotated[int | None, typer.Option(help="Layers, or blocks of a transformer.")] = None,
    warmup: Annotated[YesNo | None, typer.Option(help="Does the learning rate warm up?")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    results: Annotated[Path | None, typer.Option("--results", help="The results folder.  [default: results/]")] = None,
) -> None:
    """Norms and placements ranked for a situation by the recorded verdicts. Asks on a terminal what is left out."""
    from normlab.advice.console import advise_from_console

    given = {"input": input, "batch": batch, "length": length, "devices": devices, "fold": fold, "depth": depth,
             "warmup": warmup}  # fmt: skip
    advise_from_console({k: v.value if isinstance(v, StrEnum) else v for k, v in given.items()}, as_json, results)
