"""`normlab fold`: a trained network without its batch norms, as an ONNX file that has been checked and timed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from normlab.errors import NormLabError
from normlab.measure.timing.conditions import timing_conditions
from normlab.measure.timing.harness import compare_until_valid
from normlab.tools.export import check_onnx, export_onnx, open_onnx, run_onnx
from normlab.tools.fold.model import fold
from normlab.training.trained_model import load_trained

BATCHES = (1, 32)
ROUNDS, SECONDS = 10, 0.02


def fold_from_console(checkpoint: Path, onnx: Path | None) -> None:
    """Folds, exports to `onnx` if given, and prints the fate of each batch norm, largest errors and latencies.

    Errors are those of the logits on the first batch of the test split, relative to the largest logit.

    Raises:
        NormLabError: what `load_trained` refuses, a network without batch norms, packages that are missing, and a
            network that cannot be exported.
    """
    if onnx is not None:
        check_onnx()
    model, data = load_trained(checkpoint)
    model.eval()
    folding = fold(model)
    if not folding.batch_norms:
        raise NormLabError(
            f"{checkpoint}: there is no batch norm to fold: pass a model trained with norm=batchnorm."
        )
    console = Console(width=None if Console().is_terminal else 200)
    console.print(str(folding), markup=False, highlight=False)

    x = next(iter(data.eval_batches("test")))[0]
    runs: dict[str, Callable[[Tensor], Tensor]] = {"as trained": model, "folded": folding.model}
    with torch.no_grad(), timing_conditions():
        if onnx is not None:
            export_onnx(folding.model, x, onnx)
            session = open_onnx(onnx)
            runs["folded, ONNX Runtime"] = partial(run_onnx, session)
            console.print(
                f"written to {onnx}: {onnx.stat().st_size / 1024:.0f} KiB",
                markup=False,
                highlight=False,
            )
        console.print(_measure(runs, x))


def _measure(runs: dict[str, Callable[[Tensor], Tensor]], x: Tensor) -> Table:
    """Errors and latencies of each run against the first."""
    (first, baseline), *others = runs.items()
    table = Table(
        "",
        "largest error",
        "same class",
        *(f"batch {n}, ms" for n in BATCHES),
        box=None,
        pad_edge=False,
    )
    target = baseline(x)
    cells: dict[str, list[str]] = {
        first: ["", ""],
        **{name: _agreement(run(x), target) for name, run in others},
    }
    for n in BATCHES:
        part = x[:n].contiguous()
        for name, run in others:
            timing = compare_until_valid(
                partial(run, part), partial(baseline, part), rounds=ROUNDS, min_seconds=SECONDS
            )
            if name == others[0][0]:
                cells[first].append(f"{timing.baseline_s * 1e3:.3g}")
            doubt = "" if timing.valid else ", a guess: the machine is busy"
            cells[name].append(
                f"{timing.subject_s * 1e3:.3g} ({100 * (timing.ratio - 1):+.0f} %{doubt})"
            )
    for name, row in cells.items():
        table.add_row(name, *row)
    return table


def _agreement(y: Tensor, target: Tensor) -> list[str]:
    """The largest error relative to the largest logit, and how often both name the same class."""
    error = float((y - target).abs().max() / target.abs().max())
    return [
        f"{error:.2g}",
        f"{100 * float((y.argmax(-1) == target.argmax(-1)).double().mean()):.4g} %",
    ]
