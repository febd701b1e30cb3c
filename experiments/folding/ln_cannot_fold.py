"""LayerNorm and RMSNorm cannot be folded into the linear layers beside them.

Said by: "Normalization Deep-Dive", since their statistics depend on the input.
Primary source: FlashNorm (Graef et al. 2024) folds gamma and beta, which do not, into the linear
layer after the norm. The mean over features is linear, so the centring goes into the linear layer
before it, W' = (I - 11'/d) W, which leaves an RMSNorm (arXiv 2605.14521 measures that).
Measured: the error of each fold, and of what is left, a division by a number of each input, which
no linear layer does. So the statement is taken apart: each fold, and the division, against which
stands the best linear layer by least squares on the very data that it is judged on.
Cost: normlab run ln-cannot-fold --profile full    40 trials, 2 seconds of one core
"""

from typing import Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Impossible

ARMS = ("float32", "float64")
NORMS = ("layernorm", "rmsnorm")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest errors, relative to the largest output, of linear -> norm -> linear with parts of the
    norm folded."""
    import torch
    from torch import Tensor, nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])

    def drawn(module: nn.Module) -> Any:
        for parameter in module.parameters():
            parameter.data.normal_(0, 0.3, generator=generator)
        return module.to(dtype)

    before, after = drawn(nn.Linear(32, 64)), drawn(nn.Linear(64, 48))
    norms = {kind: drawn(make_norm(kind, 64, "NC")) for kind in NORMS}
    plain = {kind: make_norm(kind, 64, "NC").to(dtype) for kind in NORMS}  # gamma is 1, beta 0
    x = torch.randn(256, 32, generator=generator, dtype=dtype) * 2 + 1

    def with_parameters(norm: Any) -> nn.Linear:
        folded = nn.Linear(64, 48).to(dtype)
        # In float64, rounded once: only the fold itself may be off.
        folded.weight.copy_(after.weight.double() * norm.weight.double())
        # RMSNorm has no shift.
        shift = 0 if norm.bias is None else after.weight.double() @ norm.bias.double()
        folded.bias.copy_(after.bias + shift)
        return folded

    def error(y: Tensor, target: Tensor) -> float:
        return float((y - target).abs().max() / target.abs().max())

    with torch.no_grad():
        centred = nn.Linear(32, 64).to(dtype)
        # W' = (I - 11'/d) W: the mean over outputs is taken off each column.
        centred.weight.copy_(before.weight.double() - before.weight.double().mean(0))
        centred.bias.copy_(before.bias.double() - before.bias.double().mean())
        h = before(x)
        target, rms_target = (after(norms[kind](h)) for kind in NORMS)
        folded = with_parameters(norms["layernorm"])
        metrics = {
            "parameters": error(folded(plain["layernorm"](h)), target),
            "rms_parameters": error(
                with_parameters(norms["rmsnorm"])(plain["rmsnorm"](h)), rms_target
            ),
            "centring": error(plain["rmsnorm"](centred(x)), plain["layernorm"](h)),
            "both": error(folded(plain["rmsnorm"](centred(x))), target),
        }
        ones = torch.cat([h, h.new_ones(len(h), 1)], 1).double()
        for kind in NORMS:
            y = plain[kind](h).double()
            metrics[f"linear_{kind}"] = error(ones @ torch.linalg.pinv(ones) @ y, y)
    return metrics


def part(name: str, statement: str, *metrics: str) -> Part:
    """Whether a fold is impossible, by its errors in both precisions."""
    quantity = Quantity(
        "relative error of every draw, in float32 and float64",
        "largest error",
        lambda evidence: np.concatenate([evidence.table(ARMS, one) for one in metrics], axis=1),
        ARMS,
    )
    return Part(name, statement, quantity, Impossible(1e-5, 0.01))


CLAIM = Claim(
    slug="ln-cannot-fold",
    statement="LayerNorm and RMSNorm cannot be folded into the layers beside them.",
    documents=("Normalization Deep-Dive",),
    source="The statistics are those of the input; papers fold what does not depend on them.",
    prediction="partly supported: everything folds but one division",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.05),
    trial=trial,
    clauses=(
        part(
            "division",
            "no linear layer gives what LayerNorm, or RMSNorm, gives: the division cannot be "
            "folded",
            "linear_layernorm",
            "linear_rmsnorm",
        ),
        part(
            "rest",
            "gain, shift and centring cannot be folded into the linear layers beside",
            "both",
        ),
    ),
    scope=(
        part("RMSNorm's division", "no linear layer gives what RMSNorm gives", "linear_rmsnorm"),
        part(
            "gamma and beta",
            "LayerNorm's gamma and beta cannot go into the linear layer after it",
            "parameters",
        ),
        part(
            "RMSNorm's gamma",
            "RMSNorm's gamma cannot go into the linear layer after it",
            "rms_parameters",
        ),
        part(
            "centring", "LayerNorm's centring cannot go into the linear layer before it", "centring"
        ),
    ),
    answers=Answers(
        supported="Neither the division by the deviation nor gain, shift and centring can be "
        "folded: errors of {division.effect:.0%} and {rest.effect:.0%} at most.",
        refuted="All of LayerNorm folds: the division to {division.effect:.1e}, the rest to "
        "{rest.effect:.1e}.",
        partly="Only the division by the deviation cannot be folded: the best linear layer is off "
        "by up to {division.effect:.0%}; gain, shift and centring fold to "
        "{rest.effect:.0e}.",
    ),
    caveats=(
        "Pre-LN: in a residual stream every layer that writes into the stream has to be centred, "
        "the embedding too.",
        "A single linear layer on either side; after a nonlinearity or a sum with an uncentred "
        "branch nothing folds.",
    ),
    would_change="A norm whose divisor is a constant at inference.",
    first_seed=0,
    metrics={
        "linear_layernorm": "best linear layer in place of LayerNorm, relative error",
        "linear_rmsnorm": "best linear layer in place of RMSNorm, relative error",
        "both": "LayerNorm with gain, shift and centring folded, relative error",
        "parameters": "LayerNorm with gain and shift folded, relative error",
        "rms_parameters": "RMSNorm with its gain folded, relative error",
        "centring": "LayerNorm with its centring folded, relative error",
    },
)
