"""`normlab fold`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from normlab.cli.options import CHECKPOINT, MODEL_NAME, Json

if TYPE_CHECKING:
    from normlab.measure.timing.harness import Comparison
    from normlab.measure.timing.network_runs import NetworkRun


def fold(
    checkpoint: Annotated[
        Path,
        typer.Argument(help=f"{CHECKPOINT} With --list: {MODEL_NAME[0].lower()}{MODEL_NAME[1:]}"),
    ],
    onnx: Annotated[
        Path | None, typer.Option(help="Write the folded network there, checked with ONNX Runtime.")
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Only list what becomes of each batch norm of a model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fold the batch norms of a trained network into its layers; print errors, and latency before
    and after. Or list, for a model by name, which batch norms fold."""
    if only_list:
        _list_fates(str(checkpoint), as_json)
        return
    from functools import partial

    import torch

    from normlab.cli.tables import wide_console
    from normlab.measure.timing.conditions import timing_conditions
    from normlab.measure.timing.network_runs import Run, measure_runs
    from normlab.tools.export import check_onnx, export_onnx, open_onnx, run_onnx
    from normlab.tools.fold.trained import fold_trained

    if onnx is not None:
        check_onnx()  # what is missing is said before the work
    console = wide_console()
    trained = fold_trained(checkpoint)
    folded = trained.folding.model
    console.print(str(trained.folding), highlight=False)
    others: dict[str, Run] = {"folded": folded}
    with torch.no_grad(), timing_conditions():
        if onnx is not None:
            export_onnx(folded, trained.x, onnx)
            others["folded, ONNX Runtime"] = partial(run_onnx, open_onnx(onnx))
            size = f"written to {onnx}: {onnx.stat().st_size / 1024:.0f} KiB"
            console.print(size, highlight=False)
        runs = measure_runs(trained.model, others, trained.x)
    _print_runs(runs)


def _list_fates(name: str, as_json: bool) -> None:
    """What becomes of each batch norm of the network `name` in eval mode."""
    import json

    from normlab.tools.fold import fold as folding_of
    from normlab.tools.zoo import build_named

    folding = folding_of(build_named(name).eval())
    if not as_json:
        print(folding)
        return
    fates = [vars(fate) for fate in folding.batch_norms]
    print(json.dumps({"batch_norms": fates, "notes": folding.notes}, indent=1))


def _print_runs(runs: Sequence["NetworkRun"]) -> None:
    """Errors and latencies of each run, below the latencies of the network as it was trained."""
    from normlab.cli.tables import plain_table, wide_console

    latencies = runs[0].latencies
    batches = (f"batch {size}, ms" for size in latencies)
    table = plain_table("", "largest error", "same class", *batches)
    baselines = (f"{timing.baseline_s * 1e3:.3g}" for timing in latencies.values())
    table.add_row("as trained", "", "", *baselines)
    for run in runs:
        error, same = f"{run.largest_error:.2g}", f"{100 * run.same_class:.4g} %"
        cells = (_latency(timing) for timing in run.latencies.values())
        table.add_row(run.name, error, same, *cells)
    wide_console().print(table)


def _latency(timing: "Comparison") -> str:
    """Milliseconds, and how much more or less than the network as it was trained."""
    doubt = "" if timing.valid else ", a guess: the machine is busy"
    return f"{timing.subject_s * 1e3:.3g} ({100 * (timing.ratio - 1):+.0f} %{doubt})"
