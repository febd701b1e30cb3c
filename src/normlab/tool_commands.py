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


ModelName = "torchvision:NAME, timm:NAME, transformers:MODEL_TYPE, or package.module:FUNCTION."


@command("convert")
def convert_(
    models: Annotated[list[str] | None, typer.Argument(help=f"{ModelName} None: some of many families.")] = None,
    to: Annotated[str, typer.Option(help="The kind of norm that takes their place.")] = "groupnorm",
    from_: Annotated[list[str] | None, typer.Option("--from", help="A kind that is replaced.  [default: all]")] = None,
    layers: Annotated[list[str] | None, typer.Option(help="Paths such as 'layer1.*'.  [default: all]")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Only list the norms that the models have.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Show the norms of models built without weights, and what `normlab.convert` makes of them. Writes nothing."""
    from normlab.conversion_console import convert_from_console, list_norms

    if only_list:
        list_norms(models or [], as_json)
    else:
        convert_from_console(models or [], to, from_ or [], layers or [], as_json)


@command("fold")
def fold_(
    checkpoint: Annotated[Path, typer.Argument(help="last.ckpt of train.py trainer.checkpoint_every=N.")],
    onnx: Annotated[
        Path | None, typer.Option(help="Write the folded network there, checked with ONNX Runtime.")
    ] = None,
) -> None:
    """Fold the batch norms of a trained network into its layers; print errors, and latency before and after."""
    from normlab.fold_console import fold_from_console

    fold_from_console(checkpoint, onnx)


@command("dashboard")
def dashboard_(
    records: Annotated[
        Path | None, typer.Option(help="A results folder, or one of train.py's runs.  [default: results/]")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where files are written.")] = Path("runs/dashboard"),
    project: Annotated[str, typer.Option(help="Of Weights & Biases.")] = "normlab",
    entity: Annotated[str | None, typer.Option(help="User or team there.  [default: yours]")] = None,
) -> None:
    """The same panels for TensorBoard and as a Weights & Biases workspace; without a key, in files."""
    from normlab.dashboard.console import dashboard_from_console

    dashboard_from_console(records, out, project, entity)
