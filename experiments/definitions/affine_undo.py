"""Scale and shift let the network undo the normalization: gamma = sqrt(var + eps), beta = mean.

Said by: "Batch Normalization, a walkthrough".
Primary source: Ioffe & Szegedy 2015, section 3, say that it recovers the original activations.
Measured: how far the output is from the input, with gamma and beta set so. They are constants, so
it can hold for fixed statistics only: at evaluation, or for one given batch. In training they meet
the statistics of the next batch, 1 / sqrt(N) off.
Cost: normlab run affine-undo --profile full    40 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

ARMS = ("float32", "float64")
SIZES = (4, 16, 64, 256)
ERROR = (
    "root mean square of output - input, over the input's deviation, the largest of batches of 4 "
    "to 256 in fp32 and fp64"
)


def trial(options: Options, seed: int) -> dict[str, Any]:
    """|norm(x) - x| over the deviation of x, root mean square, with gamma and beta set to undo
    known statistics."""
    import torch
    from torch import nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    mean = torch.empty(64).uniform_(-3, 3, generator=generator)
    deviation = torch.empty(64).uniform_(0.3, 3, generator=generator)
    norm: Any = make_norm("batchnorm", 64, "NC")
    with torch.no_grad():
        # As after a training that has found the data's own statistics.
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(deviation**2)
        norm.weight.copy_((deviation**2 + norm.eps).sqrt())
        norm.bias.copy_(mean)
    norm = norm.to(dtype)
    if dtype == torch.float64:  # the root again, or it keeps the rounding of float32
        norm.weight.data = (norm.running_var + norm.eps).sqrt()

    def error(layer: nn.Module, n: int) -> float:
        # Drawn from the distribution whose statistics gamma and beta undo.
        x = torch.randn(n, 64, generator=generator).mul(deviation).add(mean).to(dtype)
        with torch.no_grad():
            y = layer(x)
        return float(((y - x) / deviation).square().mean().sqrt())

    metrics = {"fixed": max(error(norm.eval(), n) for n in SIZES)}
    # With momentum 0 a batch is normalized by its own statistics and leaves the running ones alone.
    norm.train().momentum = 0.0
    metrics |= {f"batch_{n}": error(norm, n) for n in SIZES}
    return {**metrics, "layernorm_r2": layernorm_r2(generator)}


def layernorm_r2(generator: Any) -> float:
    """The share of LayerNorm's input that a scale per feature can give back from its output."""
    import torch

    features = torch.randn(1024, 64, generator=generator, dtype=torch.float64)
    # LayerNorm's statistics are of each sample: what a fixed scale per feature leaves is R² < 1.
    y = torch.nn.functional.layer_norm(features, (64,))
    slope = (features * y).mean(0) / (y**2).mean(0)  # least squares per feature
    return float(1 - (features - slope * y).square().sum() / features.square().sum())


CLAIM = Claim(
    slug="affine-undo",
    statement="With gamma = sqrt(var + eps) and beta = mean the network can undo the "
    "normalization.",
    documents=("Batch Normalization, a walkthrough",),
    source="Ioffe & Szegedy 2015, section 3: this setting 'could recover the original "
    "activations'.",
    prediction="partly supported: exact with fixed statistics; off by about 1 / sqrt(N) in "
    "training",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    clauses=(
        Part(
            "fixed statistics",
            "at evaluation gamma and beta give the input back",
            largest(ARMS, "fixed", words=ERROR),
            Exact(1e-5),
        ),
    ),
    scope=(
        Part(
            "batch statistics",
            "in training, on batches of 4 to 256, gamma and beta give the input back",
            largest(ARMS, [f"batch_{n}" for n in SIZES], words=ERROR),
            Exact(1e-5),
        ),
    ),
    answers=Answers(
        supported="With fixed statistics gamma = sqrt(var + eps) and beta = mean give the input "
        "back to {fixed statistics.effect:.0e} of its deviation; in training, by the next batch's "
        "own statistics, only to {batch statistics.effect:.0%}.",
        refuted="Even with fixed statistics gamma and beta do not give the input back: off by "
        "{fixed statistics.effect:.1e} of its deviation.",
    ),
    caveats=(
        "For one given batch the undoing is exact, but gamma and beta do not follow the batch.",
        "LayerNorm cannot be undone per feature at all, since its statistics differ by sample "
        "(layernorm_r2).",
    ),
    would_change="Gamma and beta that follow the batch's own statistics.",
    first_seed=0,
    metrics={
        "fixed": "distance of output from input in eval mode, RMS in deviations",
        **{
            f"batch_{n}": f"distance of output from input, batch of {n}, RMS in deviations"
            for n in SIZES
        },
    },
)
