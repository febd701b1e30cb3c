"""Latency of a network with its batch norms folded, against the same network as it was given.

Both sides of a cell have the same layout and run the same way, so that nothing but the folding is
in the ratio. ONNX Runtime is given graphs with the batch norms in them: by default it folds them
itself, and `onnxruntime, as given` keeps it from optimizing either side.
"""

import copy
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import normlab.models.torchvision_operators  # noqa: F401
from normlab.measure.timing.conditions import cuda_clock, timing_conditions
from normlab.measure.timing.harness import Comparison, Sides, compare_until_valid
from normlab.measure.timing.layers import FORMATS
from normlab.measure.timing.norms import row_of
from normlab.models.resnet import ResNet
from normlab.norms import make_norm
from normlab.tools.export import PACKAGES, export_as_it_is, open_onnx, run_onnx
from normlab.tools.fold.model import fold

MODELS = (
    "resnet8",
    "resnet20",
    "resnet18",
    "mobilenet_v2",
)  # the first two ours, the others torchvision's
BATCHES = (1, 32, 256)
EAGER, RUNTIME = ("channels_first", "channels_last"), ("onnxruntime", "onnxruntime, as given")
SIZE = 32  # pixels a side


def run(quick: bool = False) -> list[dict[str, Any]]:
    """All rows; with `quick` one network at batches of 1 and 32, and one cell for torch.compile."""
    rows = []
    with timing_conditions():
        for device, model, batch, mode in _cells(quick):
            reason = missing(mode)
            named = {
                "benchmark": "fold",
                "subject": "folded",
                "baseline": model,
                "mode": mode,
                "batch_size": batch,
                "shape": f"3x{SIZE}x{SIZE}",
                "dtype": "float32",
            }
            if reason:
                rows.append({**named, "device": device, "void": True, "skipped": reason})
            else:
                rows.append({**row_of(measure(model, batch, mode, device, quick), device), **named})
    return rows


def _cells(quick: bool) -> Iterator[tuple[str, str, int, str]]:
    for model, batch in product(MODELS[:1] if quick else MODELS, BATCHES[:2] if quick else BATCHES):
        for mode in (*EAGER, *RUNTIME):
            yield "cpu", model, batch, mode
        if not quick and model == "resnet8":
            yield "cpu", model, batch, "compiled"
        if torch.cuda.is_available() and not quick:
            for mode in (*EAGER, "compiled", "cuda graph"):
                yield "cuda", model, batch, mode
    if quick:
        yield "cpu", MODELS[0], 1, "compiled"


def missing(mode: str) -> str:
    """Why `mode` cannot run here; empty if it can."""
    if mode == "compiled" and not any(
        map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))
    ):
        return "torch.compile needs a C++ compiler, and there is none"
    if mode in RUNTIME:
        absent = [name for name in PACKAGES if find_spec(name) is None]
        return f"{', '.join(absent)} missing" if absent else ""
    return ""


def measure(
    model: str,
    batch: int,
    mode: str,
    device: str = "cpu",
    quick: bool = False,
    backend: str = "inductor",
) -> Comparison:
    """The folded network against the given one; tried again while the control is off. `backend`
    is torch.compile's."""
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        folded, given, twin = _calls(model, batch, mode, device, Path(folder), backend)
        # One call of the largest batch takes long.
        rounds = 5 if quick or batch == BATCHES[-1] else 8
        clock = cuda_clock if device == "cuda" else None
        return compare_until_valid(
            folded,
            given,
            rounds=rounds,
            min_seconds=0.005 if quick else 0.01,
            clock=clock,
            twin=twin,
        )


def _calls(
    model: str, batch: int, mode: str, device: str, folder: Path, backend: str = "inductor"
) -> Sides:
    x = torch.randn(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).to(device)
    # The given one twice, each with memory of its own.
    folded, given = pair(model)
    networks: list[Any] = [one.to(device) for one in (folded, given, copy.deepcopy(given))]
    if mode in FORMATS:
        networks = [network.to(memory_format=FORMATS[mode]) for network in networks]
        x = x.contiguous(memory_format=FORMATS[mode])
    elif mode == "compiled":
        networks = [torch.compile(network, backend=backend, dynamic=False) for network in networks]
    elif mode == "cuda graph":
        return Sides(*(_captured(network, x) for network in networks))
    if mode not in RUNTIME:
        return Sides(*(partial(network, x) for network in networks))
    runs = []
    for network, name in zip(networks, ("folded", "given", "twin"), strict=True):
        export_as_it_is(network, x, folder / f"{name}.onnx")
        session = open_onnx(folder / f"{name}.onnx", "none" if mode.endswith("as given") else "all")
        runs.append(partial(run_onnx, session, x))
    return Sides(*runs)


def _captured(network: nn.Module, x: Tensor) -> Callable[[], object]:
    """The kernels of one call, launched all at once."""
    stream = torch.cuda.Stream()
    # Once outside the capture: what a first call sets up must not be recorded.
    with torch.cuda.stream(stream):
        network(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        network(x)
    return graph.replay


def pair(model: str) -> tuple[nn.Module, nn.Module]:
    """The network folded and as given, new copies."""
    folded, given = _pair(model)
    return copy.deepcopy(folded), copy.deepcopy(given)


@cache
def _pair(model: str) -> tuple[nn.Module, nn.Module]:
    given = build(model)
    with (
        torch.no_grad()
    ):  # running statistics of its own activations, so that no value grows or dies out
        given(torch.randn(16, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)))
    folding = fold(given.eval())
    # A norm that stays would be timed as if it had been folded.
    assert not folding.kept, str(folding)
    return folding.model, given


def build(model: str) -> nn.Module:
    """One of MODELS with its batch norms as they were initialised, in train mode."""
    # torchvision draws from the global state, which stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if model in ("resnet8", "resnet20"):
            depth, norm = int(model.removeprefix("resnet")), partial(make_norm, "batchnorm")
            generator = torch.Generator().manual_seed(0)
            return ResNet((3, SIZE, SIZE), 10, norm, False, generator, depth=depth, width=16)
        import torchvision

        return torchvision.models.get_model(model, weights=None, num_classes=10)  # type: ignore[no-any-return]
