"""The documents' code runs and gives the shapes and values that it prints or asserts.

Said by: four documents, by printing code (catalogue: seed-code-runs).
Primary source: torch.nn, as installed.
Measured: snippets of ours with the same layers, sizes and assertions, since the documents' text is
not in this repository. BatchNorm over (4, 20, 512) and the variance that a from-scratch BatchNorm
stores are claims of their own: bn1d-sequence-layout and running-var-bias.
Cost: normlab run document-code-runs --profile full    80 trials, 8 seconds of one core
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

if TYPE_CHECKING:
    from torch import Tensor

ARMS = ("axes", "lesson", "interview", "walkthrough")  # in the order of `documents`

# An output, the shape that it should have, and its distance from what is asserted about it.
Result = tuple["Tensor", tuple[int, ...], float]


def standard(y: "Tensor", dims: int | tuple[int, ...]) -> float:
    """How far mean and deviation over `dims` are from 0 and 1."""
    mean = float(y.mean(dims).abs().max())
    return max(mean, float((y.std(dims, unbiased=False) - 1).abs().max()))


def layers(x: "Tensor", *kinds: str) -> Iterator[Result]:
    """Of torch's layers over `x` (N, C) or (N, C, H, W)."""
    from torch import nn

    c, sample = x.shape[1], tuple(range(1, x.ndim))
    # Each with the axes over which the documents say that it has mean 0 and deviation 1.
    norms: dict[str, tuple[nn.Module, int | tuple[int, ...]]] = {
        "features": (nn.BatchNorm1d(c), 0),
        "batch": (nn.BatchNorm2d(c), (0, 2, 3)),
        "layer": (nn.LayerNorm(x.shape[1:]), sample),
        "instance": (nn.InstanceNorm2d(c), (2, 3)),
        "group": (nn.GroupNorm(1, c), sample),
    }
    for kind in kinds:
        norm, dims = norms[kind]
        y = norm(x).detach()
        yield y, x.shape, standard(y, dims)


def from_scratch(x: "Tensor") -> Iterator[Result]:
    """Of a BatchNorm by hand: the output, the running mean, and one sample at evaluation."""
    from torch import nn

    library: Any = nn.BatchNorm1d(64)
    mean, var = x.mean(0), x.var(0, unbiased=False)
    # Momentum 0.1, from 0 and 1; whether the variance stored is biased is running-var-bias.
    running_mean, running_var = 0.1 * mean, 0.9 + 0.1 * var
    y = (x - mean) / (var + 1e-5).sqrt()
    # In training it must equal the library's layer, too.
    yield y, x.shape, max(standard(y, 0), float((y - library(x)).detach().abs().max()))
    yield running_mean, mean.shape, float((running_mean - library.running_mean).abs().max())
    deviation = (running_var + 1e-5).sqrt()
    whole, one = (x - running_mean) / deviation, (x[:1] - running_mean) / deviation
    yield one, (1, 64), float((one - whole[:1]).abs().max())


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Outputs of a document's snippets that have another shape, and their distance from what is
    asserted."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> "Tensor":
        return 2 * torch.randn(*shape, generator=generator) + 1

    def convolved() -> "Tensor":
        y: Tensor = nn.Conv2d(3, 64, 3, padding=1)(10 * normal(8, 3, 32, 32))
        return y

    calls = {
        "axes": lambda: layers(normal(4, 128, 8, 8), "batch", "layer", "instance", "group"),
        "lesson": lambda: layers(normal(32, 128), "features", "layer"),
        "interview": lambda: layers(convolved(), "batch", "layer"),
        "walkthrough": lambda: from_scratch(normal(32, 64)),
    }
    results = list(calls[options["document"]]())
    wrong = sum(y.shape != torch.Size(shape) for y, shape, _ in results)
    return {"wrong_shapes": wrong, "deviation": max(error for *_, error in results)}


CLAIM = Claim(
    slug="document-code-runs",
    statement="The documents' code runs, with the shapes and values that it prints or asserts.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "BatchNorm vs LayerNorm",
        "How BN, IN and LN differ",
        "Batch Normalization, a walkthrough",
    ),
    source="torch.nn, as installed.",
    prediction="supported",
    arms=tuple(Arm(name, options={"document": name}) for name in ARMS),
    protocols=direct_protocols(20, 0.1),
    trial=trial,
    clauses=(
        Part(
            "shapes",
            "every snippet runs and gives the shape that it should",
            largest(
                ARMS,
                "wrong_shapes",
                words="outputs of another shape, the most of any document",
                unit="snippets",
            ),
            Exact(0),
        ),
        Part(
            "values",
            "outputs have mean 0 and deviation 1 over the axes named; from scratch equals the "
            "library in training",
            largest(
                ARMS,
                "deviation",
                words="largest distance of an output from what is asserted, of all documents",
            ),
            Exact(1e-4),
        ),
    ),
    answers=Answers(
        supported="Snippets like the documents' run, with the shapes and values that they assert, "
        "to {values.effect:.0e}.",
        refuted="Of snippets like the documents' {shapes.effect:.0f} have another shape, and "
        "values are off by up to {values.effect:.1e}.",
        partly="Of snippets like the documents' {shapes.effect:.0f} have another shape, and "
        "values are off by up to {values.effect:.1e}.",
    ),
    caveats=(
        "Equivalent snippets, written here: a slip in a document's own text would not be seen.",
    ),
    would_change="A torch in which one of these calls fails.",
    first_seed=0,
    metrics={
        "wrong_shapes": "outputs of another shape than the document's, count",
        "deviation": "largest distance of an output from what the document asserts",
    },
)
