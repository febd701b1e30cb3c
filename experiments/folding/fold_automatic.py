"""Deployment tools fold batch norms into the layers before them by themselves.

Said by: "Normalization Deep-Dive", of TensorRT, ONNX Runtime and TorchScript. No primary source is asked, but the tools
themselves: random networks of three layers with a batch norm behind each (kernel, stride, dilation, groups, bias and
activation drawn, running statistics of their own activations) go through each tool, and what is left of the batch norms
in its graph is counted. torch.jit.script is one step of TorchScript, torch.jit.freeze the next; ONNX Runtime is given a
graph with all batch norms in it, since both of torch's exporters may fold before. `normlab.fold` folds all of them.

    normlab run fold-automatic        90 seconds on one core
"""

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import exact_within

TOOLS = (
    "torch.jit.script",
    "torch.jit.freeze",
    "torch.export",
    "ONNX exporter",
    "older ONNX exporter",
    "ONNX Runtime",
)


def trial(options, seed):
    """Batch norms left of 3 by kind of layer, and the largest relative error of what the tool made of the network."""
    import warnings

    from normlab.measure.random_networks import random_network
    from normlab.measure.unfolded import left_by

    metrics, errors = {}, []
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # TorchScript and the older exporter say that they are deprecated
        for kind in options["layers"]:
            metrics[f"left_{kind}"], error = left_by(options["tool"], *random_network(kind, seed))
            errors.append(error)
    return {**metrics, "error": max(errors)}


def part(name, tool, layers, statement):
    def decide(evidence):
        return exact_within(
            sum(evidence.values(tool, f"left_{kind}") for kind in layers), 0, "batch norms left"
        )

    return Part(name, statement, "no batch norm left in any of 20 random networks", decide)


CLAIM = Claim(
    slug="fold-automatic",
    statement="TensorRT, ONNX Runtime and TorchScript fold batch norms by themselves.",
    documents=("Normalization Deep-Dive",),
    source="ONNX Runtime's documentation: all graph optimizations are on; PyTorch's: freezing folds conv-BN.",
    prediction="partly supported: torch.jit.script leaves all, freezing and ONNX Runtime none behind convolutions",
    arms=tuple(Arm(tool, options={"tool": tool}) for tool in TOOLS),
    protocols={
        "cpu": Protocol(
            seeds=20, options={"layers": ("conv", "transposed", "linear")}, seconds_per_trial=3.0
        ),
        "smoke": Protocol(seeds=1, options={"layers": ("linear",)}),
    },
    trial=trial,
    parts=(
        part(
            "torch.jit.script",
            TOOLS[0],
            ("conv",),
            "TorchScript folds behind convolutions once it is scripted",
        ),
        part(
            "torch.jit.freeze",
            TOOLS[1],
            ("conv",),
            "TorchScript folds behind convolutions once it is frozen",
        ),
        part(
            "ONNX Runtime", TOOLS[5], ("conv",), "ONNX Runtime folds behind convolutions by default"
        ),
        part("torch.export", TOOLS[2], ("conv",), "torch.export folds behind convolutions"),
        part(
            "ONNX exporter", TOOLS[3], ("conv",), "torch's ONNX exporter folds behind convolutions"
        ),
        part(
            "older ONNX exporter",
            TOOLS[4],
            ("conv",),
            "its older one, dynamo=False, folds behind convolutions",
        ),
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
    caveats=(
        "TensorRT needs an NVIDIA GPU and is not run: its documentation has a catalogue of fusions made at build time.",
        "An audit of the versions in requirements.txt; TorchScript and the older exporter are deprecated.",
        "No tool folds a batch norm into the layer after it; where no zero is padded, normlab.fold does.",
    ),
    would_change="A release that folds elsewhere; the counts are by tool and kind of layer.",
)
