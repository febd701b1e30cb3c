"""After standardisation every feature has mean 0 and variance 1, whatever the weights before it do.

Said by: three documents (below). Primary source: Ioffe & Szegedy 2015, Alg. 1, which divides by sqrt(var + eps).
Features are random linear maps of noise, at scales 1e-4 to 1e2 and batches of 2 to 1024. The catalogue allows
"sigma^2 > 100 eps" for the last part; that is read as the variance of the batch at hand, because at N = 2 a feature of
any scale has a small one by chance. For the same reason, and because features have means of their own, 1e-5 for the
mean is a part of its own in float32, where |mean| / deviation of the input times 6e-8 is lost to rounding.

    normlab run bn-zero-mean-unit-var        3 seconds on one core
"""

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import exact_within

ARMS = ("float32", "float64")


def trial(options, seed):
    """Worst |mean| and |std - 1| of a feature over all cells, and over those with a variance above 100 eps."""
    import torch

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    norm = make_norm("batchnorm", 32, "NC").to(dtype)
    worst = dict.fromkeys(("mean", "deviation", "deviation_above", "deviation_at_1e-3"), 0.0)
    for n in (2, 3, 4, 8, 16, 64, 256, 1024):
        for scale in 10.0 ** torch.arange(-4, 3):
            inputs = torch.randn(n, 64, generator=generator, dtype=dtype)
            weights = torch.randn(64, 32, generator=generator, dtype=dtype) / 8
            x = scale.to(dtype) * (
                inputs @ weights + 3 * torch.randn(32, generator=generator, dtype=dtype)
            )
            with torch.no_grad():
                y = norm(x).double()
            off = (y.std(0, unbiased=False) - 1).abs()
            above = off[x.double().var(0, unbiased=False) > 100 * norm.eps]
            worst["mean"] = max(worst["mean"], float(y.mean(0).abs().max()))
            worst["deviation"] = max(worst["deviation"], float(off.max()))
            if len(above):
                worst["deviation_above"] = max(worst["deviation_above"], float(above.max()))
            if abs(float(scale) - 1e-3) < 1e-6 and n == 1024:
                worst["deviation_at_1e-3"] = float(off.max())
    return worst


def part(name, statement, metric, tolerance, arms=ARMS):
    rule = f"off by {tolerance:g} at most in the worst cell of 20 draws, {' and '.join(arms)}"
    return Part(
        name,
        statement,
        rule,
        lambda evidence: exact_within(evidence.table(arms, metric).max(axis=1), tolerance),
    )


CLAIM = Claim(
    slug="bn-zero-mean-unit-var",
    statement="After standardisation every feature has mean 0 and variance 1, whatever the weights before it do.",
    documents=(
        "Batch Normalization, a walkthrough",
        "BatchNorm vs LayerNorm",
        "Normalization Deep-Dive",
    ),
    source="Ioffe & Szegedy 2015, Alg. 1: (x - mean) / sqrt(var + eps), which is 1 / sqrt(1 + eps / var) short of it.",
    prediction="partly supported: the mean up to rounding, the variance while it lies far above eps",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols={"cpu": Protocol(seeds=20, seconds_per_trial=0.03), "smoke": Protocol(seeds=2)},
    trial=trial,
    parts=(
        part("mean", "the mean is 0 in every cell", "mean", 1e-5, ARMS[1:]),
        part("mean in float32", "the mean is 0 in every cell", "mean", 1e-5, ARMS[:1]),
        part("variance", "the deviation is 1 in every cell", "deviation", 0.01),
        part("above eps", "the deviation is 1 where var > 100 eps", "deviation_above", 0.01),
    ),
    caveats=(
        "In training mode, with scale 1 and shift 0; at evaluation the statistics are those of other data.",
        "At N = 2 every output is +1 or -1: mean and variance are right, and only a sign is left of the input.",
    ),
    would_change="A layer without eps, or data whose smallest variance is known to lie far above it.",
)
