"""Networks to ONNX files, and run there by ONNX Runtime. Both are optional: the extra `onnx`."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_onnx() -> None:
    """Raises NormLabError if a package is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NormLabError(
            f"ONNX needs {', '.join(missing)}: pip install {' '.join(missing)}, "
            "or '.[onnx]' from here."
        )


def export_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    """Writes `model` to `path`, weights and all, for batches of any size.

    The exporter folds batch norms behind convolutions by itself.

    Raises:
        NormLabError: a network that it cannot export; a package that is missing.
    """
    check_onnx()
    # A batch of 1 would be taken for a size that never changes.
    example = torch.cat([example, example])[: max(2, len(example))]
    try:
        with _quiet():
            torch.onnx.export(
                model,
                (example,),
                path,
                dynamo=True,
                external_data=False,
                verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["x"],
                output_names=["y"],
            )
    except torch.onnx.errors.OnnxExporterError as error:
        # The exporter's own error is a page of advice; its cause says what it met in the model.
        lines = filter(str.strip, str(error.__cause__ or error).splitlines())
        reason = next(lines, "no reason given")
        raise NormLabError(f"torch.onnx cannot export this model: {reason}") from error


def export_as_it_is(model: nn.Module, example: Tensor, path: Path) -> None:
    """Writes `model` to `path` with its batch norms where they are.

    By torch's older exporter, which can leave them.

    Raises:
        NormLabError: a package that is missing.
    """
    check_onnx()
    with _quiet():
        torch.onnx.export(
            model,
            (example,),
            path,
            dynamo=False,
            # Under EVAL, the default, this exporter fuses batch norms into convolutions itself.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            input_names=["x"],
            output_names=["y"],
        )


def open_onnx(path: Path, level: str = "all", optimized: Path | None = None) -> Any:
    """An ONNX Runtime session of `path` on the CPU with one thread.

    level: the graph optimizations, `all` (the default of ONNX Runtime), `basic` or `none`.
    optimized: where ONNX Runtime writes the graph that it runs.
    """
    check_onnx()
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Errors only.
    options.log_severity_level = 3
    options.graph_optimization_level = {
        "all": levels.ORT_ENABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "none": levels.ORT_DISABLE_ALL,
    }[level]
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnx(session: Any, x: Tensor) -> Tensor:
    """The only output of the network, for its only input `x`."""
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks on versions and on their own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
