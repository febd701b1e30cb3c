"""`normlab ...`. Importing this imports neither torch nor lightning: commands import what they use."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import normlab.cli.tool_commands  # noqa: F401  (registers the commands for models of one's own)
from normlab.cli.application import app, command

ResultsOption = Annotated[
    Path | None, typer.Option("--results", help="The results folder.  [default: results/]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


class Profile(StrEnum):
    """How much is run."""

    smoke = "smoke"
    cpu = "cpu"
    gpu = "gpu"


class EngineName(StrEnum):
    """Where trials run."""

    local = "local"
    ray = "ray"
    submitit = "submitit"


class LoggerName(StrEnum):
    """Where curves go, by the files of conf/logger."""

    csv = "csv"
    tensorboard = "tensorboard"
    wandb = "wandb"


class Benchmark(StrEnum):
    """The benchmarks, by the module of normlab.measure.timing that holds them."""

    data_path = "data-path"
    train_loop = "train-loop"
    startup = "startup"
    sweep = "sweep"
    lm_step = "lm-step"
    norms = "norms"
    fold = "fold"
    syncbn = "syncbn"


@app.callback()
def main() -> None:
    """What is written about normalization layers, put to the test."""


@command("list")
def list_(as_json: JsonOption = False, results: ResultsOption = None) -> None:
    """Every claim and its last verdict."""
    from normlab.cli.claims_console import list_claims

    list_claims(results, as_json)


@command()
def show(
    slug: Annotated[str, typer.Argument(help="The claim.")],
    profile: Annotated[Profile, typer.Option(help="Whose jobs to show.")] = Profile.cpu,
    results: ResultsOption = None,
) -> None:
    """A claim: statement, rules, planned jobs with their commands and cost. Runs nothing."""
    from normlab.cli.claims_console import show_claim

    show_claim(slug, profile.value, results)


@command()
def run(
    slugs: Annotated[list[str] | None, typer.Argument(help="Claims; leave out with --all.")] = None,
    all_claims: Annotated[bool, typer.Option("--all", help="Every claim.")] = False,
    profile: Annotated[Profile, typer.Option(help="How much is run.")] = Profile.cpu,
    seeds: Annotated[
        int | None, typer.Option(help="Evaluation seeds, for every arm alike.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.  [default: one per core]")] = None,
    engine: Annotated[EngineName, typer.Option(help="Where trials run.")] = EngineName.local,
    dry_run: Annotated[
        bool, typer.Option(help="Print the commands of the jobs that would run.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(help="Start no trial after this; run again to go on.")
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Run again what other code than this has recorded.")
    ] = False,
    norm: Annotated[
        str | None, typer.Option(help="A kind or my_package.MyNorm, in the place of one of theirs.")
    ] = None,
    logger: Annotated[
        list[LoggerName] | None,
        typer.Option(
            help="Log each training in runs/claims; may be repeated. Not what a claim measures itself."
        ),
    ] = None,
    results: ResultsOption = None,
) -> None:
    """Run what is missing of one claim, several or all, and print their verdicts."""
    from normlab.cli.claims_console import run_from_console

    run_from_console(
        slugs or [], all_claims, profile.value, seeds, workers, engine.value, dry_run, minutes, renew, norm, results,
        [name.value for name in logger or []],
    )  # fmt: skip


@command("recheck")
def recheck_(
    slugs: Annotated[list[str] | None, typer.Argument(help="Claims; all if left out.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.  [default: one per core]")] = None,
    results: ResultsOption = None,
) -> None:
    """After a change of code that changes no result: run one trial of each kind again, and compare every bit."""
    from normlab.cli.claims_console import recheck_from_console

    recheck_from_console(slugs or [], workers, results)


@command()
def verdict(
    slugs: Annotated[list[str] | None, typer.Argument(help="Claims; all if left out.")] = None,
    as_json: JsonOption = False,
    results: ResultsOption = None,
) -> None:
    """Decide claims from their records and write results/verdicts.json."""
    from normlab.cli.claims_console import print_verdicts

    print_verdicts(slugs or [], as_json, results)


@command()
def report(
    results: ResultsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The page.  [default: report/index.html in the results]")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 and say what is out of date.")
    ] = False,
) -> None:
    """Build the page, the table in README.md and verdicts.json from the records."""
    from normlab.report.build import report_from_console

    report_from_console(results, out, check)


@command()
def bench(
    name: Annotated[Benchmark, typer.Argument(help="Which benchmark.")],
    quick: Annotated[bool, typer.Option(help="Fewer cells and rounds.")] = False,
    save: Annotated[bool, typer.Option(help="Append the rows to results/bench.jsonl.")] = True,
) -> None:
    """Measure a ratio, both sides in one process, and keep the rows."""
    from normlab.cli.bench_console import run_benchmark

    run_benchmark(name.value, quick, save)


@command("sample")
def sample_(
    checkpoint: Annotated[
        Path, typer.Argument(help="last.ckpt of train.py trainer.checkpoint_every=N.")
    ],
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "\n",
    length: Annotated[int, typer.Option(help="Characters to add.")] = 200,
    temperature: Annotated[float, typer.Option(help="0 = always the most likely character.")] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from this many most likely ones.  [default: all]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """Text from a trained language model."""
    from normlab.tools.sample import sample

    typer.echo(sample(checkpoint, prompt, length, temperature, top_k, seed))
