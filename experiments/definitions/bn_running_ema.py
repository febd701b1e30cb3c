"""BatchNorm's running statistics are exponential averages of the batches', with momentum 0.1.

Said by: "Batch Normalization, a walkthrough" and "BatchNorm vs LayerNorm".
Primary source: torch.nn.BatchNorm2d's documentation: momentum 0.1, new = (1 - momentum) old +
momentum observed, from 0 for means and 1 for variances.
Measured: torch's default layer is given 30 batches of other means and deviations in train mode, and
its buffers are compared with that average, computed from the batches in float64. The variance that
it keeps is that with N - 1. Scope: the same average of variances with N, what NormLab's layer
keeps, and how much of the start, 0 and 1, is left: 0.9 to the power of the steps.
Cost: normlab run bn-running-ema --profile full    20 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import percent
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import value
from normlab.claims.rules import Exact

BATCHES = 30
MOMENTUM = 0.1
TOLERANCE = 1e-6


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest relative differences of buffers from the average, over channels."""
    import torch
    from torch import Tensor, nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    # In float64, so that rounding hides no other formula.
    torch_layer = nn.BatchNorm2d(16).double()
    own_layer = make_norm("batchnorm", 16).double()
    mean = torch.zeros(16, dtype=torch.float64)
    variance, biased = torch.ones_like(mean), torch.ones_like(mean)
    for _ in range(BATCHES):
        shift, scale = torch.randn(2, generator=generator, dtype=torch.float64)
        x = shift + scale.exp() * torch.randn(8, 16, 4, 4, generator=generator, dtype=torch.float64)
        torch_layer(x)
        own_layer(x)
        rows = x.transpose(0, 1).flatten(1)
        mean = (1 - MOMENTUM) * mean + MOMENTUM * rows.mean(1)
        variance = (1 - MOMENTUM) * variance + MOMENTUM * rows.var(1)
        biased = (1 - MOMENTUM) * biased + MOMENTUM * rows.var(1, correction=0)

    def apart(kept: Tensor | nn.Module | None, average: Tensor) -> float:
        assert isinstance(kept, Tensor), "a layer without running statistics"
        # Means lie around 0: in units of the deviation.
        scale = average if average is not mean else variance.sqrt()
        return float(((kept - average) / scale).abs().max())

    return {
        "mean": apart(torch_layer.running_mean, mean),
        "variance": apart(torch_layer.running_var, variance),
        "biased": apart(torch_layer.running_var, biased),
        "own": max(apart(own_layer.running_mean, mean), apart(own_layer.running_var, variance)),
        "start": (1 - MOMENTUM) ** BATCHES,
    }


def part(name: str, metric: str, statement: str, words: str, tolerance: float = TOLERANCE) -> Part:
    return Part(
        name, statement, value("buffers", metric, words=words, unit="of it"), Exact(tolerance)
    )


CLAIM = Claim(
    slug="bn-running-ema",
    statement="BatchNorm's running statistics are exponential averages of those of the batches, "
    "with momentum 0.1.",
    documents=("Batch Normalization, a walkthrough", "BatchNorm vs LayerNorm"),
    source="torch.nn.BatchNorm2d: momentum 0.1 by default, and the formula of the average.",
    prediction="supported",
    arms=(Arm("buffers"),),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    clauses=(
        part(
            "mean",
            "mean",
            "the running mean is that average of the batches' means",
            "running mean less the average, in deviations, the largest of 16 channels after 30 "
            "batches",
        ),
        part(
            "variance",
            "variance",
            "the running variance is that average of the batches' variances, with N - 1",
            "running variance less the average, as a share, the largest of 16 channels after 30 "
            "batches",
        ),
    ),
    scope=(
        part(
            "with N",
            "biased",
            "it is that of the variances that the layer normalizes with, with N",
            "running variance less the average of variances with N, as a share",
        ),
        part(
            "NormLab",
            "own",
            "NormLab's layer keeps the same",
            "NormLab's buffers less the averages, mean in deviations, variance as a share",
        ),
        part(
            "start",
            "start",
            "after 30 batches nothing is left of the start, 0 and 1",
            "weight of the start in the average after 30 batches",
            0.01,
        ),
    ),
    answers=Answers(
        supported="The buffers are exponential averages with weight 0.1 for the new batch, to "
        "{mean.effect:.0e} of a deviation and {variance.effect:.0e} of the variance, which is "
        "that with N - 1; after 30 batches the start still weighs {start.effect:.3f}.",
        refuted="torch's buffers are not that average: they differ by up to {mean.effect:.0e} of a "
        "deviation and {variance.effect:.0e} of the variance.",
        partly="Of the two buffers one is that average: they differ from it by up to "
        "{mean.effect:.0e} of a deviation and {variance.effect:.0e} of the variance.",
    ),
    caveats=(
        "0.1 is torch's default, where momentum is the weight of the new batch; Keras names the "
        "weight of what is kept, 0.99 by default.",
    ),
    would_change="Another formula, or another default, in a library.",
    first_seed=0,
    metrics={
        "mean": "running mean less its exponential average, in deviations",
        "variance": "running variance less its exponential average, relative",
        "biased": "running variance less the average of variances with N, relative",
        "own": "NormLab's running statistics less the exponential averages, relative",
        "start": percent("weight of the start, 0 and 1, after 30 batches"),
    },
)
