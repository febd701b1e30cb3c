"""Deployment tools fold batch norms into the layers before them by themselves.

Said by: "Normalization Deep-Dive", of TensorRT, ONNX Runtime and TorchScript.
Primary source: none is asked, but the tools themselves.
Measured: what is left of the batch norms in a tool's graph. Random networks of three layers with a
batch norm behind each (kernel, stride, dilation, groups, bias and activation drawn, running
statistics of their own activations) go through each tool. torch.jit.script is one step of
TorchScript, torch.jit.freeze the next; ONNX Runtime is given a graph with all batch norms in it,
since both of torch's exporters may fold before. `normlab.fold` folds all of them.
Cost: normlab run fold-automatic --profile full    120 trials, 6 minutes of one core
"""

from typing import Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, PartWithoutData, Values
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Exact

TOOLS = (
    "torch.jit.script",
    "torch.jit.freeze",
    "torch.export",
    "ONNX exporter",
    "older ONNX exporter",
    "ONNX Runtime",
)


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Batch norms left of 3 by kind of layer, and the largest relative error of what the tool made
    of the network."""
    import warnings

    from normlab.measure.random_networks import random_network
    from normlab.measure.unfolded import left_by

    metrics: dict[str, float] = {}
    errors = []
    with warnings.catch_warnings():
        # TorchScript and the older exporter say that they are deprecated.
        warnings.simplefilter("ignore")
        # The same seed for every tool, and so the same networks.
        for kind in options["layers"]:
            metrics[f"left_{kind}"], error = left_by(options["tool"], *random_network(kind, seed))
            errors.append(error)
    return {**metrics, "error": max(errors)}


def part(name: str, tool: str, layers: tuple[str, ...], statement: str) -> Part:
    """How many batch norms `tool` leaves behind layers of these kinds."""

    def left(evidence: Evidence) -> Values:
        counts = [evidence.values(tool, f"left_{kind}") for kind in layers]
        # Left of 3 in each network: 0 means that all are folded.
        return np.asarray(np.sum(counts, axis=0, dtype=float))

    words = f"batch norms that {tool} leaves behind {' and '.join(layers)} layers, by network"
    return Part(name, statement, Quantity(words, "batch norms left", left, (tool,)), Exact(0))


def not_run(evidence: Evidence) -> Values:
    raise PartWithoutData("TensorRT needs an NVIDIA GPU and is not run")


def behind_convolutions(tool: str, who: str, when: str = "") -> Part:
    """The part of `tool` alone."""
    return part(tool, tool, ("conv",), f"{who} folds behind convolutions{when}")


CLAIM = Claim(
    slug="fold-automatic",
    statement="TensorRT, ONNX Runtime and TorchScript fold batch norms by themselves.",
    documents=("Normalization Deep-Dive",),
    source="ONNX Runtime's documentation: all graph optimizations are on; PyTorch's: freezing "
    "folds conv-BN.",
    prediction="partly supported: torch.jit.script leaves all, freezing and ONNX Runtime none "
    "behind convolutions",
    arms=tuple(Arm(tool, options={"tool": tool}) for tool in TOOLS),
    protocols=direct_protocols(
        20, 3.0, options={"layers": ("conv", "transposed", "linear")}, smoke={"layers": ("linear",)}
    ),
    trial=trial,
    clauses=(
        part(
            "TorchScript",
            "torch.jit.script",
            ("conv",),
            "TorchScript folds behind convolutions without being asked: once it is scripted",
        ),
        part(
            "ONNX Runtime",
            "ONNX Runtime",
            ("conv",),
            "ONNX Runtime folds behind convolutions without being asked",
        ),
        Part(
            "TensorRT",
            "TensorRT folds behind convolutions without being asked",
            Quantity(
                "batch norms that TensorRT leaves behind convolutions",
                "batch norms left",
                not_run,
                ("ONNX Runtime",),
            ),
            Exact(0),
        ),
    ),
    scope=(
        part(
            "frozen",
            "torch.jit.freeze",
            ("conv",),
            "TorchScript folds behind convolutions once it is frozen",
        ),
        behind_convolutions("torch.export", "torch.export"),
        behind_convolutions("ONNX exporter", "torch's ONNX exporter"),
        behind_convolutions("older ONNX exporter", "its older one, dynamo=False,"),
        *(
            part(
                f"{tool}, others",
                tool,
                ("transposed", "linear"),
                f"{tool} folds behind other linear layers, too",
            )
            for tool in ("torch.jit.freeze", "ONNX Runtime", "ONNX exporter")
        ),
    ),
    answers=Answers(
        supported="TorchScript, ONNX Runtime and TensorRT fold batch norms behind convolutions "
        "without being asked.",
        refuted="None folds without being asked: of 3 batch norms TorchScript leaves "
        "{TorchScript.effect:.0f} and ONNX Runtime {ONNX Runtime.effect:.0f}.",
        partly="ONNX Runtime folds without being asked and TorchScript does not: of 3 batch norms "
        "behind convolutions they leave {ONNX Runtime.effect:.0f} and {TorchScript.effect:.0f}; "
        "once frozen, TorchScript leaves {frozen.effect:.0f}. TensorRT was not run.",
    ),
    caveats=(
        "TensorRT needs an NVIDIA GPU and is not run: its documentation has a catalogue of fusions "
        "made at build time.",
        "An audit of the versions in requirements.txt; TorchScript and the older exporter are "
        "deprecated.",
        "No tool folds a batch norm into the layer after it; where no zero is padded, normlab.fold "
        "does.",
    ),
    would_change="A release that folds elsewhere; the counts are by tool and kind of layer.",
    first_seed=0,
    metrics={
        "left_conv": "batch norms left behind convolutions, of 3",
        "left_transposed": "batch norms left behind transposed convolutions, of 3",
        "left_linear": "batch norms left behind linear layers, of 3",
    },
)
