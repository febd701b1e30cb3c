"""Rounding errors of low precision build up layer by layer.

Said by: "How BN, IN and LN differ".
Primary source: Yang et al. 2019: random nets with BatchNorm are chaotic, so that errors grow.
Measured: the relative error of the activations, root mean square, of stacks of 100 random layers
(width 128, ReLU, He's initialization) in 16 bits and in float64 with the same rounded weights and
input. Asked for: at layer 100 at least 5 times that at layer 10, the geometric mean over float16
and bfloat16, of plain nets with each norm; nets without one and residual nets are scope. For that
the last parts round in the first layer only: if errors add up, all layers together give twice as
much or more; if the net amplifies any error to its full size, the first layer's alone does. In a
residual net each layer adds ReLU(W norm(x)), a tenth of it without norms, where the sum would
double at every layer.
Cost: normlab run lowprec-error-accumulates --profile full    320 trials, a minute of one core
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import metric_difference
from normlab.claims.rules import Between

if TYPE_CHECKING:
    from torch import Tensor, dtype

WIDTH, BATCH, DEPTH, FIRST = 128, 64, 100, 10
NORMS = {
    "no norm": "none",
    "LayerNorm": "layernorm",
    "RMSNorm": "rmsnorm",
    "BatchNorm": "batchnorm",
}
# Name -> how layers are joined, and the norm.
ARMS = {f"{skip}, {norm}": (skip, norm) for skip in ("plain", "residual") for norm in NORMS}


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Log of the relative error at layers 10 and 100, by all layers and by the first.

    The mean over two formats.
    """
    import torch

    from normlab.norms import make_norm

    skip, kind = ARMS[options["net"]]
    # One for 16 bits, with parameters and statistics in float32, and one for float64.
    norms = {wide: make_norm(NORMS[kind], WIDTH, "NC") for wide in (False, True)}
    norms[True].double()
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(BATCH, WIDTH, generator=generator)
    # He's scale; a tenth of it where a sum without norms would double at every layer.
    gain = math.sqrt(2 / WIDTH) / (10 if options["net"] == "residual, no norm" else 1)
    weights = [gain * torch.randn(WIDTH, WIDTH, generator=generator) for _ in range(DEPTH)]

    @torch.no_grad()
    def activations(dtype: "dtype", rounded: int) -> "Iterator[Tensor]":
        """At layers FIRST and DEPTH; `rounded` layers in `dtype`, the others in float64."""
        h = x.to(dtype)
        for layer, weight in enumerate(weights):
            now = dtype if layer < rounded else torch.float64
            # The same rounded weights in both networks: only activations differ.
            norm, w, h = norms[now == torch.float64], weight.to(dtype).to(now), h.to(now)
            h = h + (norm(h) @ w).relu() if skip == "residual" else norm(h @ w).relu()
            if layer + 1 in (FIRST, DEPTH):
                yield h.double()

    metrics = dict.fromkeys(("first", "last", "first_layer_only"), 0.0)
    for dtype in (torch.float16, torch.bfloat16):
        true_first, true_last = activations(dtype, 0)
        first, last = activations(dtype, DEPTH)
        _, by_first_layer = activations(dtype, 1)
        pairs = ((first, true_first), (last, true_last), (by_first_layer, true_last))
        for name, (h, reference) in zip(metrics, pairs, strict=True):
            # / 2: the mean over both formats, of logarithms.
            metrics[name] += math.log(float((h - reference).norm() / reference.norm())) / 2
    return metrics


def grows(arm: str) -> Part:
    words = f"relative error at layer {DEPTH} over that at layer {FIRST}"
    return Part(
        arm,
        "the relative error at layer 100 is 5 times that at layer 10",
        metric_difference(arm, "last", "first", words=words, unit="times"),
        Between(5, math.inf),
    )


def adds_up(arm: str) -> Part:
    words = f"error at layer {DEPTH}, rounding in all layers over rounding in the first alone"
    return Part(
        f"{arm}: adds up",
        "the error at layer 100 is twice that which rounding in the first layer alone leaves there",
        metric_difference(arm, "last", "first_layer_only", words=words, unit="times"),
        Between(2, math.inf),
    )


CLAIM = Claim(
    slug="lowprec-error-accumulates",
    statement="Rounding errors of low precision build up layer by layer.",
    documents=("How BN, IN and LN differ",),
    source="Yang et al. 2019: random nets with BatchNorm are chaotic: gradients, and so errors, "
    "grow with each layer.",
    prediction="partly supported: plain nets, most with BatchNorm, which amplifies; residual nets "
    "less",
    arms=tuple(Arm(arm, options={"net": arm}) for arm in ARMS),
    protocols=direct_protocols(40, 0.2),
    trial=trial,
    clauses=(
        replace(grows("plain, LayerNorm"), expected=4.0, noise=0.6),
        replace(grows("plain, RMSNorm"), expected=4.0, noise=0.6),
        replace(grows("plain, BatchNorm"), expected=100.0, noise=0.1),
    ),
    scope=(
        grows("plain, no norm"),
        *(grows(f"residual, {norm}") for norm in NORMS),
        *(adds_up(f"plain, {norm}") for norm in ("LayerNorm", "BatchNorm")),
    ),
    answers=Answers(
        supported="In plain nets the relative error at layer 100 is {plain, LayerNorm.effect:.1f} "
        "times that at layer 10 with LayerNorm ({plain, LayerNorm.low:.1f} to "
        "{plain, LayerNorm.high:.1f}), {plain, RMSNorm.effect:.1f} with RMSNorm, "
        "{plain, BatchNorm.effect:.0f} with BatchNorm; in residual nets "
        "{residual, LayerNorm.effect:.1f} with LayerNorm.",
        refuted="In plain nets the relative error at layer 100 is {plain, LayerNorm.effect:.1f} "
        "times that at layer 10 with LayerNorm, {plain, RMSNorm.effect:.1f} with RMSNorm, "
        "{plain, BatchNorm.effect:.1f} with BatchNorm: not 5 with each.",
        partly="It depends on the norm: from layer 10 to 100 of plain nets in 16 bits the relative "
        "error grows {plain, LayerNorm.effect:.1f} times with LayerNorm ({plain, LayerNorm.low:.1f}"
        " to {plain, LayerNorm.high:.1f}) and {plain, RMSNorm.effect:.1f} with RMSNorm, about as "
        "the root of the depth; with BatchNorm {plain, BatchNorm.effect:.0f} times, where rounding "
        "in the first layer alone ends as large.",
        inconclusive="In plain nets the relative error at layer 100 is "
        "{plain, BatchNorm.effect:.0f} times that at layer 10 with BatchNorm, "
        "{plain, LayerNorm.effect:.1f} with LayerNorm and {plain, RMSNorm.effect:.1f} with "
        "RMSNorm ({plain, RMSNorm.low:.1f} to {plain, RMSNorm.high:.1f}): not all is decided.",
    ),
    caveats=(
        "Random weights, forward only; matrix products accumulate in float32 or more, as those of "
        "a GPU do.",
        "With BatchNorm the error at layer 100 is as large as the activations themselves: it is at "
        "its ceiling there, and rounding in any one layer brings it there.",
        "The rule asks for 5 times; errors that add up as a random walk grow 3.2 times.",
        "Normalization layers of this repository, whose parameters and statistics are float32.",
    ),
    would_change="Trained networks, whose sensitivity to errors is not that of random ones.",
    metrics={
        "first": logarithm(f"relative error at layer {FIRST}"),
        "last": logarithm(f"relative error at layer {DEPTH}"),
        "first_layer_only": logarithm(f"relative error at layer {DEPTH}, the first alone rounds"),
    },
)
