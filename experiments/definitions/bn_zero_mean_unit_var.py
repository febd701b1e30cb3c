"""After standardisation every feature has mean 0 and variance 1, whatever the weights do.

Said by: three documents (below).
Primary source: Ioffe & Szegedy 2015, Alg. 1, which divides by sqrt(var + eps).
Measured: mean and deviation of features that are random linear maps of noise, at scales 1e-4 to 1e2
and batches of 2 to 1024. Mean and variance within 1 % at every scale decide together. Scope: where
the variance of the batch at hand lies above 100 eps (at N = 2 a feature of any scale has a small
one by chance), and the mean by itself; in float32, |mean| / deviation of the input times 6e-8 of it
is lost to rounding.
Cost: normlab run bn-zero-mean-unit-var --profile full    40 trials, a second of one core
"""

from typing import Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, largest
from normlab.claims.rules import Exact

ARMS = ("float32", "float64")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Worst |mean| and |std - 1| of a feature over all cells, and over those with a variance above
    100 eps."""
    import torch

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    norm: Any = make_norm("batchnorm", 32, "NC").to(dtype)
    worst = dict.fromkeys(("mean", "deviation", "deviation_above", "deviation_at_1e-3"), 0.0)
    for n in (2, 3, 4, 8, 16, 64, 256, 1024):
        # The "weights" of the claim: from 1e-4, where eps = 1e-5 is larger than the variance, up.
        for scale in 10.0 ** torch.arange(-4, 3):
            inputs = torch.randn(n, 64, generator=generator, dtype=dtype)
            # / 8 = 1 / sqrt(64): features of unit variance before the scale.
            weights = torch.randn(64, 32, generator=generator, dtype=dtype) / 8
            means = 3 * torch.randn(32, generator=generator, dtype=dtype)
            x = scale.to(dtype) * (inputs @ weights + means)
            with torch.no_grad():
                # In float64 the check adds no rounding of its own.
                y = norm(x).double()
            off = (y.std(0, unbiased=False) - 1).abs()
            # At N = 2 a feature may have a small variance by chance, whatever its scale.
            above = off[x.double().var(0, unbiased=False) > 100 * norm.eps]
            worst["mean"] = max(worst["mean"], float(y.mean(0).abs().max()))
            worst["deviation"] = max(worst["deviation"], float(off.max()))
            if len(above):
                worst["deviation_above"] = max(worst["deviation_above"], float(above.max()))
            if abs(float(scale) - 1e-3) < 1e-6 and n == 1024:
                worst["deviation_at_1e-3"] = float(off.max())
    return worst


def off(evidence: Evidence) -> Values:
    """(n,): the larger of |mean| and |variance - 1|; variance = deviation²."""
    # To rounding the deviation is at most 1, so that this is how far it falls short.
    short = evidence.table(ARMS, "deviation").max(axis=1)
    worst = np.stack([evidence.table(ARMS, "mean").max(axis=1), short * (2 - short)])
    return np.asarray(worst.max(axis=0))


def part(name: str, statement: str, metric: str, rule: Exact, arms: tuple[str, ...] = ARMS) -> Part:
    what = "|mean|" if metric == "mean" else "|deviation - 1|"
    where = " where var > 100 eps" if metric == "deviation_above" else ""
    words = f"largest {what} of a feature{where}, over all scales and batches, {' and '.join(arms)}"
    return Part(name, statement, largest(arms, metric, words=words), rule)


CLAIM = Claim(
    slug="bn-zero-mean-unit-var",
    statement="After standardisation every feature has mean 0 and variance 1, whatever the weights "
    "before it do.",
    documents=(
        "Batch Normalization, a walkthrough",
        "BatchNorm vs LayerNorm",
        "Normalization Deep-Dive",
    ),
    source="Ioffe & Szegedy 2015, Alg. 1: (x - mean) / sqrt(var + eps), which is 1 / sqrt(1 + eps "
    "/ var) short of it.",
    prediction="partly supported: the mean up to rounding, the variance while it lies far above "
    "eps",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.03),
    trial=trial,
    clauses=(
        Part(
            "mean and variance",
            "the mean is 0 and the variance 1, within 1 %, at every scale before",
            Quantity(
                "largest |mean| or |variance - 1| of a feature, over all scales and batches, "
                "float32 and float64",
                "largest error",
                off,
                ARMS,
            ),
            Exact(0.01),
        ),
    ),
    scope=(
        part("mean", "the mean is 0 in every cell", "mean", Exact(1e-5), ("float64",)),
        part("mean in float32", "the mean is 0 in every cell", "mean", Exact(1e-5), ("float32",)),
        part("variance", "the deviation is 1 in every cell", "deviation", Exact(0.01)),
        part("above eps", "the deviation is 1 where var > 100 eps", "deviation_above", Exact(0.01)),
    ),
    answers=Answers(
        supported="After standardisation mean and variance are off by "
        "{mean and variance.effect:.2%} at most, at every scale before.",
        refuted="Not whatever the scale: where the variance is not far above eps, the deviation "
        "falls short of 1 by up to {variance.effect:.0%}; where it is above 100 eps, by "
        "{above eps.effect:.1%} at most.",
    ),
    caveats=(
        "In training mode, with scale 1 and shift 0; at evaluation the statistics are those of "
        "other data.",
        "At N = 2 every output is +1 or -1: mean and variance are right, and only a sign is left "
        "of the input.",
    ),
    would_change="A layer without eps, or data whose smallest variance is known to lie far above "
    "it.",
    metrics={
        "mean": "largest |mean| of a feature behind the norm",
        "deviation": "largest |standard deviation - 1| of a feature behind the norm",
        "deviation_above": "largest |standard deviation - 1| where the variance is > 100 eps",
    },
)
