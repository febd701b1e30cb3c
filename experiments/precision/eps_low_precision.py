"""In low precision small changes of eps matter a great deal.

Said by: "How BN, IN and LN differ"; the formula in "BatchNorm vs LayerNorm" has no eps at all.
Primary source: IEEE 754: the smallest positive float16 is 6e-8, so that 1e-8 is 0 there.
Measured: with library layers in 16 bits, which eps of two customary ones, 1e-5 or 1e-3, changes the
accuracy of a trained CNN by 0.5 points, either way. Scope: what eps does to outputs. There features
are constant, as a dead unit's are; `formula` has all of (x - mean) / sqrt(var + eps) in 16 bits,
the true mean and variance rounded to them. `1e-5 or 1e-3` asks whether an eps that no longer
vanishes matters more than in float64, for deviations of 0.003 to 1.
Cost: normlab run eps-low-precision --profile full    30 trials to its first look, 1.2 hours of one
core
"""

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.looks import Looks
from normlab.claims.protocols.either_way import Changes
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import Between, Rate
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from torch import Tensor, nn

DTYPES, TRAINED, N = ("float16", "bfloat16"), (1e-5, 1e-3), 1024
EPS = (1e-12, 1e-8, 1e-5, 1e-3)
LAYERS = {
    "formula": "the formula",
    "layer16": "nn.BatchNorm with parameters in 16 bits",
    "layer32": "nn.BatchNorm with parameters in float32",
}


def trial(options: Options, seed: int) -> Measurement:
    """What eps does to outputs in 16 bits; or the accuracy of a network with it."""
    if "eps" in options:
        return accuracy(options, seed)
    return Measurement(outputs(options["dtype"], seed))


def accuracy(options: Options, seed: int) -> Measurement:
    """Of a network whose batch norms have this eps.

    All of their formula in float16, or as libraries compute: statistics of float16 values, and eps
    added in float32.
    """
    from normlab.measure.low_precision import METHODS, replace_norms
    from normlab.training.step import evaluate

    def adapt(model: "nn.Module", shape: tuple[int, ...]) -> None:
        if options["kind"] == "library":
            replace_norms(model, eps=options["eps"], moments=METHODS["library"])
        else:
            replace_norms(model, eps=options["eps"], formula=True)

    trained = train_network((*options["overrides"], "norm=batchnorm"), seed, adapt)
    test = trained.data.eval_batches("test")
    return Measurement({"accuracy": evaluate(trained.model, test)[1]}, trained.source)


def outputs(name: str, seed: int) -> dict[str, float]:
    """Whether outputs are finite, by layer and eps, and how much more eps changes than in float64.

    The first on constant features, the second on features of several deviations.
    """
    import torch
    from torch import nn

    from normlab.measure.low_precision import formula

    dtype, generator = getattr(torch, name), torch.Generator().manual_seed(seed)

    def ours(x: "Tensor", eps: float) -> "Tensor":
        # True moments, so that what is seen is eps and not the way in which they are summed.
        var, mean = torch.var_mean(x.double(), 0, unbiased=False)
        return formula(x, mean, var, eps)

    # (1024, 64): each feature has one value, whose variance is 0.
    constant = (100 * torch.randn(1, 64, generator=generator)).to(dtype).repeat(N, 1)
    metrics = {}
    for eps in EPS:
        with torch.no_grad():
            layer16 = nn.BatchNorm1d(64, eps=eps).to(dtype)
            layer32 = nn.BatchNorm1d(64, eps=eps)
            given = {
                "formula": ours(constant, eps),
                "layer16": layer16(constant),
                "layer32": layer32(constant),
            }
        for layer, y in given.items():
            metrics[f"{layer}_{eps:g}"] = float(y.isfinite().all())
    # From 10^-2.5 = 0.003 to 1.
    deviations = 10 ** (-2.5 * torch.rand(64, generator=generator))
    x = (torch.randn(N, 64, generator=generator) * deviations).to(dtype)

    def change(x: "Tensor") -> "Tensor":
        return (ours(x, 1e-3) - ours(x, 1e-5)).double().square().mean()

    # Over the same inputs, rounded, in float64.
    return {**metrics, "change": float((change(x) / change(x.double())).sqrt())}


def fails(name: str, statement: str, dtype: str, layer: str, eps: float) -> Part:
    return Part(
        name,
        statement,
        Quantity(
            f"draws of {dtype} in which {LAYERS[layer]} and eps {eps:g} gives what is not finite",
            "share",
            lambda evidence: 1 - evidence.values(dtype, f"{layer}_{eps:g}"),
            (dtype,),
        ),
        Rate(0.5),
    )


def changes(name: str, kind: str, words: str) -> Part:
    """The accuracy of a trained CNN by eps, either way."""
    arms = f"{kind}, eps 0.001", f"{kind}, eps 1e-05"
    return Part(
        name,
        f"{words}, eps 1e-3 instead of 1e-5 changes accuracy by at least 0.5 points",
        difference(*arms, "accuracy", words="test accuracy of the CNN, eps 1e-3 - eps 1e-5"),
        Changes(0.5),
    )


IN_WORDS = {
    "formula": "formula in 16 bits",
    "layer16": "BatchNorm with 16-bit gains",
    "layer32": "BatchNorm with float32 gains",
}

CLAIM = Claim(
    slug="eps-low-precision",
    statement="In low precision small changes of eps matter a great deal.",
    documents=("How BN, IN and LN differ", "BatchNorm vs LayerNorm"),
    source="IEEE 754: the smallest positive float16 is 6e-8, so 1e-8 is 0 there; bfloat16 has the "
    "range of float32.",
    prediction="partly supported: where eps itself vanishes in float16, on constant features",
    arms=(
        *(Arm(dtype, options={"dtype": dtype}) for dtype in DTYPES),
        *(
            Arm(f"{kind}, eps {eps:g}", options={"kind": kind, "eps": eps})
            for kind in ("library", "formula")
            for eps in TRAINED
        ),
    ),
    protocols=as_options(
        image_protocols(
            "optim.lr=0.1", epochs=2, looks=Looks(), full_epochs=SHORT, full_looks=Looks()
        )
    ),
    trial=trial,
    clauses=(
        replace(
            changes("library", "library", "with library layers in 16 bits"),
            expected=0.0,
            noise=0.7,
        ),
    ),
    scope=(
        changes("formula", "formula", "with all of the formula in float16"),
        fails(
            "formula, float16",
            "1e-8 gives what is not finite on constant features",
            "float16",
            "formula",
            1e-8,
        ),
        fails("formula, bfloat16", "1e-12 does so in bfloat16", "bfloat16", "formula", 1e-12),
        fails(
            "torch in float16",
            "1e-12 does so in nn.BatchNorm with float16 parameters",
            "float16",
            "layer16",
            1e-12,
        ),
        fails(
            "torch, autocast", "1e-12 does so with float32 parameters", "float16", "layer32", 1e-12
        ),
        Part(
            "1e-5 or 1e-3",
            "what this change does to outputs in float16 is twice what it does in float64",
            Quantity(
                "change of outputs from eps 1e-5 to 1e-3, root mean square, float16 over float64",
                "times",
                lambda evidence: np.log(evidence.values("float16", "change")),
                ("float16",),
            ),
            Between(2, inf),
        ),
    ),
    answers=Answers(
        supported="With library layers in 16 bits 1e-3 instead of 1e-5 changes accuracy by "
        "{library.effect:+.2f} points ({library.low:.2f} to {library.high:.2f}).",
        refuted="With library layers in 16 bits 1e-3 instead of 1e-5 changes accuracy by "
        "{library.effect:+.2f} points ({library.low:.2f} to {library.high:.2f}), less than 0.5; "
        "eps matters where it vanishes: 1e-8 in float16, on constant features.",
        inconclusive="With library layers in 16 bits 1e-3 instead of 1e-5 changes accuracy by "
        "{library.effect:+.2f} points ({library.low:.2f} to {library.high:.2f}): whether 0.5 "
        "either way is open.",
    ),
    caveats=(
        "The trained CNN's gradients are those of float32, and its statistics are accumulated in "
        "float32.",
    ),
    would_change="Features that are constant or nearly so, in code that holds eps in float16.",
    metrics={
        "accuracy": "test accuracy of the CNN",
        "change": "change of outputs from eps 1e-5 to 1e-3, 16 bits over float64",
        **{
            f"{layer}_{eps:g}": f"finite output, {words}, eps {eps:g}, 1 (yes) or 0 (no)"
            for layer, words in IN_WORDS.items()
            for eps in EPS
        },
    },
)
