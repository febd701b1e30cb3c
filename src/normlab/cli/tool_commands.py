"""`normlab ...` for models of one's own. Heavy imports are inside the commands."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from normlab.cli.application import command


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
    input: Annotated[
        AdviceInput | None, typer.Option(help="What is normalized; the layout follows.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="The smallest batch on one device.")] = None,
    length: Annotated[Length | None, typer.Option(help="Of the samples.")] = None,
    devices: Annotated[int | None, typer.Option(help="Devices that train together.")] = None,
    fold: Annotated[
        YesNo | None, typer.Option(help="Must the norm fold into the weights at inference?")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Layers, or blocks of a transformer.")] = None,
    warmup: Annotated[YesNo | None, typer.Option(help="Does the learning rate warm up?")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    results: Annotated[
        Path | None, typer.Option("--results", help="The results folder.  [default: results/]")
    ] = None,
) -> None:
    """Norms and placements ranked for a situation by the recorded verdicts. Asks on a terminal what is left out."""
    from normlab.cli.advise_console import advise_from_console

    given = {"input": input, "batch": batch, "length": length, "devices": devices, "fold": fold, "depth": depth,
             "warmup": warmup}  # fmt: skip
    advise_from_console(
        {k: v.value if isinstance(v, StrEnum) else v for k, v in given.items()}, as_json, results
    )


ModelName = "torchvision:NAME, timm:NAME, transformers:MODEL_TYPE, or package.module:FUNCTION."


@command("convert")
def convert_(
    models: Annotated[
        list[str] | None, typer.Argument(help=f"{ModelName} None: some of many families.")
    ] = None,
    to: Annotated[str, typer.Option(help="The kind of norm that takes their place.")] = "groupnorm",
    from_: Annotated[
        list[str] | None, typer.Option("--from", help="A kind that is replaced.  [default: all]")
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option(help="Paths such as 'layer1.*'.  [default: all]")
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Only list the norms that the models have.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Show the norms of models built without weights, and what `normlab.convert` makes of them. Writes nothing."""
    from normlab.cli.convert_console import convert_from_console, list_norms

    if only_list:
        list_norms(models or [], as_json)
    else:
        convert_from_console(models or [], to, from_ or [], layers or [], as_json)


@command("fold")
def fold_(
    checkpoint: Annotated[
        Path, typer.Argument(help="last.ckpt of train.py trainer.checkpoint_every=N.")
    ],
    onnx: Annotated[
        Path | None, typer.Option(help="Write the folded network there, checked with ONNX Runtime.")
    ] = None,
) -> None:
    """Fold the batch norms of a trained network into its layers; print errors, and latency before and after."""
    from normlab.cli.fold_console import fold_from_console

    fold_from_console(checkpoint, onnx)


@command("dashboard")
def dashboard_(
    records: Annotated[
        Path | None,
        typer.Option(help="A results folder, or one of train.py's runs.  [default: results/]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where files are written.")] = Path("runs/dashboard"),
    project: Annotated[str, typer.Option(help="Of Weights & Biases.")] = "normlab",
    entity: Annotated[
        str | None, typer.Option(help="User or team there.  [default: yours]")
    ] = None,
) -> None:
    """The same panels for TensorBoard and as a Weights & Biases workspace; without a key, in files."""
    from normlab.cli.dashboard_console import dashboard_from_console

    dashboard_from_console(records, out, project, entity)


class ScoreProfile(StrEnum):
    """How much a score runs."""

    smoke = "smoke"
    cpu = "cpu"


@command("score")
def score_(
    norm: Annotated[str, typer.Argument(help="A kind, or my_package.my_module.MyNorm.")],
    against: Annotated[
        str, typer.Option(help="Kinds to compare with.")
    ] = "batchnorm,layernorm,groupnorm,rmsnorm",
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, of the norm; may be repeated.")
    ] = None,
    profile: Annotated[
        ScoreProfile, typer.Option(help="How much is run; smoke is no evidence.")
    ] = ScoreProfile.cpu,
    workers: Annotated[int | None, typer.Option(help="Processes.  [default: one per core]")] = None,
    timed: Annotated[
        bool, typer.Option("--timed/--untimed", help="Measure the cost, too, after all else.")
    ] = True,
    minutes: Annotated[
        float | None, typer.Option(help="Start no trial after this; run again to go on.")
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Run the references again, if other code made them.")
    ] = False,
    results: Annotated[
        Path | None, typer.Option("--results", help="The results folder.  [default: results/]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The page.  [default: report/score-NORM.html in there]")
    ] = None,
) -> None:
    """Put a norm through a fixed battery beside others; write what it can and cannot do on one page."""
    from normlab.cli.score_console import score_from_console

    score_from_console(
        norm, against, option or [], profile.value, workers, timed, minutes, renew, results, out
    )


@command("audit")
def audit_(
    model: Annotated[str, typer.Argument(help=f"{ModelName} Or last.ckpt of train.py.")],
    world_size: Annotated[int, typer.Option(help="Data parallel processes.")] = 1,
    batch_per_device: Annotated[
        int | None,
        typer.Option(help="Training samples on one.  [default: 16, or the checkpoint's]"),
    ] = None,
    evaluation: Annotated[
        bool, typer.Option("--eval", help="In eval mode, not as it is trained.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Look for the failure modes of norms that the claims measured; each finding names its record."""
    from normlab.cli.audit_console import audit_from_console

    audit_from_console(model, world_size, batch_per_device, evaluation, as_json)
