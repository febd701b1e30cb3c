"""Scale and shift let the network undo the normalization: gamma = sqrt(var + eps), beta = mean.

Said by: "Batch Normalization, a walkthrough". Primary source: Ioffe & Szegedy 2015, section 3, say that it recovers the
original activations. Gamma and beta are constants, so it can hold for fixed statistics only: at evaluation, or for one
given batch. In training they meet the statistics of the next batch, 1 / sqrt(N) off.

    normlab run affine-undo        2 seconds on one core
"""

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import exact_within

ARMS = ("float32", "float64")
SIZES = (4, 16, 64, 256)


def trial(options, seed):
    """|norm(x) - x| over the deviation of x, root mean square, with gamma and beta set to undo known statistics."""
    import torch

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    mean, deviation = (
        torch.empty(64).uniform_(*low_high, generator=generator) for low_high in ((-3, 3), (0.3, 3))
    )
    norm = make_norm("batchnorm", 64, "NC")
    with torch.no_grad():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(deviation**2)
        norm.weight.copy_((deviation**2 + norm.eps).sqrt())
        norm.bias.copy_(mean)
    norm = norm.to(dtype)
    if dtype == torch.float64:  # the root again, or it keeps the rounding of float32
        norm.weight.data = (norm.running_var + norm.eps).sqrt()

    def error(layer, n):
        x = torch.randn(n, 64, generator=generator).mul(deviation).add(mean).to(dtype)
        with torch.no_grad():
            y = layer(x)
        return float(((y - x) / deviation).square().mean().sqrt())

    metrics = {"fixed": max(error(norm.eval(), n) for n in SIZES)}
    norm.train().momentum = 0.0
    metrics |= {f"batch_{n}": error(norm, n) for n in SIZES}
    features = torch.randn(1024, 64, generator=generator, dtype=torch.float64)
    y = torch.nn.functional.layer_norm(features, (64,))
    slope = (features * y).mean(0) / (y**2).mean(0)  # least squares per feature
    return metrics | {
        "layernorm_r2": float(1 - (features - slope * y).square().sum() / features.square().sum())
    }


CLAIM = Claim(
    slug="affine-undo",
    statement="With gamma = sqrt(var + eps) and beta = mean the network can undo the normalization.",
    documents=("Batch Normalization, a walkthrough",),
    source="Ioffe & Szegedy 2015, section 3: this setting 'could recover the original activations'.",
    prediction="partly supported: exact with fixed statistics; off by about 1 / sqrt(N) in training",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols={"cpu": Protocol(seeds=20, seconds_per_trial=0.02), "smoke": Protocol(seeds=2)},
    trial=trial,
    parts=(
        Part(
            "fixed statistics",
            "at evaluation gamma and beta give the input back",
            "root mean square error within 1e-5 deviations in 20 draws, fp32 and fp64",
            lambda evidence: exact_within(evidence.table(ARMS, "fixed").max(axis=1), 1e-5),
        ),
        Part(
            "batch statistics",
            "in training, on batches of 4 to 256, gamma and beta give the input back",
            "root mean square error within 1e-5 deviations in 20 draws of each size, fp32 and fp64",
            lambda evidence: exact_within(
                max((evidence.table(ARMS, f"batch_{n}").max(axis=1) for n in SIZES), key=max), 1e-5
            ),
        ),
    ),
    caveats=(
        "For one given batch the undoing is exact, but gamma and beta do not follow the batch.",
        "LayerNorm cannot be undone per feature at all, since its statistics differ by sample (layernorm_r2).",
    ),
    would_change="Gamma and beta that follow the batch's own statistics.",
)
