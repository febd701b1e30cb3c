"""How many batch norms a tool leaves in the graph that it makes of a network in eval mode."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from normlab.tools.export import export_as_it_is, export_onnx, open_onnx, run_onnx


class Left(NamedTuple):
    """Batch norms in the graph, and what it computes."""

    batch_norms: int
    output: Tensor


def _torchscript(freeze: bool, net: nn.Module, x: Tensor) -> Left:
    scripted: Any = torch.jit.script(net)
    if freeze:
        scripted = torch.jit.freeze(scripted)
    # Inlined: the norms' nodes otherwise lie in the graphs of submodules.
    return Left(len(scripted.inlined_graph.findAllNodes("aten::batch_norm")), scripted(x))


def _torch_export(net: nn.Module, x: Tensor) -> Left:
    program = torch.export.export(net, (x,))
    return Left(
        sum("batch_norm" in str(node.target) for node in program.graph.nodes), program.module()(x)
    )


def _exporter(export: Callable[[nn.Module, Tensor, Path], None], net: nn.Module, x: Tensor) -> Left:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export(net, x, path)
        return Left(_in_onnx(path), run_onnx(open_onnx(path, "none"), x))


def _older(net: nn.Module, x: Tensor, path: Path) -> None:
    torch.onnx.export(net, (x,), path, dynamo=False)


def _onnx_runtime(net: nn.Module, x: Tensor) -> Left:
    """By default, given a graph with all batch norms in it."""
    with tempfile.TemporaryDirectory() as folder:
        given, optimized = Path(folder) / "given.onnx", Path(folder) / "optimized.onnx"
        export_as_it_is(net, x, given)
        # The exporter must not have folded any itself, or the runtime would be credited with it.
        assert _in_onnx(given) == sum(hasattr(module, "running_mean") for module in net.modules())
        session = open_onnx(given, optimized=optimized)
        return Left(_in_onnx(optimized), run_onnx(session, x))


def _in_onnx(path: Path) -> int:
    import onnx

    return sum(node.op_type == "BatchNormalization" for node in onnx.load(path).graph.node)


TOOLS: dict[str, Callable[[nn.Module, Tensor], Left]] = {
    "torch.jit.script": partial(_torchscript, False),
    "torch.jit.freeze": partial(_torchscript, True),
    "torch.export": _torch_export,
    "ONNX exporter": partial(_exporter, export_onnx),
    "older ONNX exporter": partial(_exporter, _older),
    "ONNX Runtime": _onnx_runtime,
}


def left_by(tool: str, net: nn.Module, x: Tensor) -> tuple[int, float]:
    """Batch norms left, and the largest error of what the graph computes, relative to the
    largest output."""
    with torch.no_grad():
        target = net(x)
        left = TOOLS[tool](net, x)
        return left.batch_norms, float((left.output - target).abs().max() / target.abs().max())
