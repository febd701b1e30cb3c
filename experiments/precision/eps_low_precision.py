"""In low precision small changes of eps matter a great deal.

Said by: "How BN, IN and LN differ"; the formula in "BatchNorm vs LayerNorm" has no eps at all. The catalogue's rule
joins an eps that gives NaN in float16 with one that changes accuracy by less than 0.5 points. Each is a part here, in
the claim's direction, and `a great deal` is 2 points: runs of two seeds differ by more than 0.5 anyway. Features are
constant, as a dead unit's are; `formula` has all of (x - mean) / sqrt(var + eps) in 16 bits, the true mean and variance
rounded to them. The last parts ask whether an eps that no longer vanishes matters more than in float64: outputs for
deviations of 0.003 to 1, and a trained CNN. The first 6 seeds could not decide about seven parts together, so 8.

    normlab run eps-low-precision --profile cpu        2 minutes on one core
"""

from functools import partial
from itertools import pairwise

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.rules import greater_by, rate, ratio_in_interval
from normlab.measure.networks import train_network

DTYPES, TRAINED, N = ("float16", "bfloat16"), (1e-8, 1e-5, 1e-3), 1024


def trial(options, seed):
    """Whether outputs are finite, by layer and eps, and what eps changes; or the accuracy of a network with it."""
    import torch
    from torch import nn

    from normlab.measure.low_precision import formula, replace_norms
    from normlab.training.step import evaluate

    if "eps" in options:
        rounded = partial(replace_norms, eps=options["eps"], formula=True)
        trained = train_network(
            (*options["overrides"], "norm=batchnorm"), seed, lambda model, shape: rounded(model)
        )
        return {
            "accuracy": evaluate(trained.model, trained.data.eval_batches("test"))[1],
            "data": trained.source,
        }
    dtype, generator = getattr(torch, options["dtype"]), torch.Generator().manual_seed(seed)

    def ours(x, eps):
        var, mean = torch.var_mean(x.double(), 0, unbiased=False)
        return formula(x, mean, var, eps)

    constant = (100 * torch.randn(1, 64, generator=generator)).to(dtype).repeat(N, 1)
    metrics = {}
    for eps in (1e-12, 1e-8, 1e-5, 1e-3):
        with torch.no_grad():
            layer16, layer32 = (
                nn.BatchNorm1d(64, eps=eps).to(kept) for kept in (dtype, torch.float32)
            )
            given = ours(constant, eps), layer16(constant), layer32(constant)
        for name, y in zip(("formula", "layer16", "layer32"), given, strict=True):
            metrics[f"{name}_{eps:g}"] = float(y.isfinite().all())
    deviations = 10 ** (-2.5 * torch.rand(64, generator=generator))
    x = (torch.randn(N, 64, generator=generator) * deviations).to(dtype)
    change = [
        (ours(given, 1e-3) - ours(given, 1e-5)).double().square().mean()
        for given in (x, x.double())
    ]
    return {**metrics, "change": float((change[0] / change[1]).sqrt())}


def fails(name, statement, dtype, metric):
    def decide(evidence):
        bad = 1 - evidence.values(dtype, metric)
        return rate(int(bad.sum()), len(bad), 0.5)

    rule = "not finite somewhere: 95 % interval of the share of draws above 0.5, refuted below"
    return Part(name, statement, rule, decide)


def accuracy(small, large):
    return Part(
        f"accuracy, {small:g} or {large:g}",
        f"a CNN with batch norms in float16 trains better with {large:g} than with {small:g}",
        "difference in accuracy: supported from 2 points, refuted below 1",
        lambda evidence: greater_by(
            evidence.difference(f"eps {large:g}", f"eps {small:g}", "accuracy", 100), 2.0
        ),
    )


CLAIM = Claim(
    slug="eps-low-precision",
    statement="In low precision small changes of eps matter a great deal.",
    documents=("How BN, IN and LN differ", "BatchNorm vs LayerNorm"),
    source="IEEE 754: the smallest positive float16 is 6e-8, so 1e-8 is 0 there; bfloat16 has the range of float32.",
    prediction="partly supported: where eps itself vanishes in float16, on constant features",
    arms=(
        *(Arm(dtype, options={"dtype": dtype}) for dtype in DTYPES),
        *(Arm(f"eps {eps:g}", options={"eps": eps}) for eps in TRAINED),
    ),
    protocols=as_options(image_protocols("optim.lr=0.1", epochs=2, seeds=8)),
    trial=trial,
    parts=(
        fails(
            "formula, float16",
            "1e-8 gives what is not finite on constant features",
            "float16",
            "formula_1e-08",
        ),
        fails("formula, bfloat16", "1e-12 does so in bfloat16", "bfloat16", "formula_1e-12"),
        fails(
            "torch in float16",
            "1e-12 does so in nn.BatchNorm with float16 parameters",
            "float16",
            "layer16_1e-12",
        ),
        fails(
            "torch, autocast", "1e-12 does so with float32 parameters", "float16", "layer32_1e-12"
        ),
        Part(
            "1e-5 or 1e-3",
            "what this change does to outputs in float16 is twice what it does in float64",
            "ratio of the root mean squares of the changes: supported from 2, refuted below",
            lambda evidence: ratio_in_interval(
                np.log(evidence.values("float16", "change")), 2, np.inf
            ),
        ),
        *(accuracy(small, large) for small, large in pairwise(TRAINED)),
    ),
    caveats=(
        "The trained CNN's gradients are those of float32, and its statistics are accumulated in float32.",
    ),
    would_change="Features that are constant or nearly so, in code that holds eps in float16.",
)
