"""LayerNorm and RMSNorm cannot be folded into the layers beside them.

Said by: "Normalization Deep-Dive", since their statistics depend on the input. gamma and beta do not: they go into the
linear layer after the norm, as in FlashNorm (Graef et al. 2024). The mean over features is linear, so the centring goes
into the linear layer before it, W' = (I - 11'/d) W, which leaves an RMSNorm (arXiv 2605.14521 measures that). What is
left is a division by a number of each input, which no linear layer does. So the statement is taken apart: each fold,
and the division, against which stands the best linear layer by least squares on the very data that it is judged on.

    normlab run ln-cannot-fold        3 seconds on one core
"""

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import MIN_DRAWS, Finding
from normlab.records.verdict import INCONCLUSIVE, REFUTED, SUPPORTED

ARMS = ("float32", "float64")
NORMS = ("layernorm", "rmsnorm")


def trial(options, seed):
    """Largest errors, relative to the largest output, of linear -> norm -> linear with parts of the norm folded."""
    import torch
    from torch import nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])

    def drawn(module):
        for parameter in module.parameters():
            parameter.data.normal_(0, 0.3, generator=generator)
        return module.to(dtype)

    before, after = drawn(nn.Linear(32, 64)), drawn(nn.Linear(64, 48))
    norms = {kind: drawn(make_norm(kind, 64, "NC")) for kind in NORMS}
    plain = {kind: make_norm(kind, 64, "NC").to(dtype) for kind in NORMS}  # gamma is 1, beta 0
    x = torch.randn(256, 32, generator=generator, dtype=dtype) * 2 + 1

    def with_parameters(norm):
        folded = nn.Linear(64, 48).to(dtype)
        folded.weight.copy_(after.weight.double() * norm.weight.double())
        shift = after.weight.double() @ norm.bias.double() if hasattr(norm, "bias") else 0
        folded.bias.copy_(after.bias + shift)
        return folded

    def error(y, target):
        return float((y - target).abs().max() / target.abs().max())

    with torch.no_grad():
        centred = nn.Linear(32, 64).to(dtype)
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


def cannot(evidence, metric):
    errors = evidence.table(ARMS, metric)
    n, least, largest = len(errors), float(errors.min()), float(errors.max())
    verdict = REFUTED if largest <= 1e-5 else SUPPORTED if least > 0.01 else INCONCLUSIVE
    verdict = verdict if n >= MIN_DRAWS else INCONCLUSIVE
    text = f"relative errors of {n} draws from {least:.2g} to {largest:.2g}; refuted within 1e-5, supported above 0.01"
    return Finding(verdict, largest, None, None, "largest error", n, text)


def part(name, statement, metric):
    rule = "refuted if the errors of all 20 draws are within 1e-5 (fp32, fp64), supported if all are above 0.01"
    return Part(name, statement, rule, lambda evidence: cannot(evidence, metric))


CLAIM = Claim(
    slug="ln-cannot-fold",
    statement="LayerNorm and RMSNorm cannot be folded into the layers beside them.",
    documents=("Normalization Deep-Dive",),
    source="The statistics are those of the input; papers fold what does not depend on them.",
    prediction="partly supported: everything folds but one division",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols={"cpu": Protocol(seeds=20, seconds_per_trial=0.05), "smoke": Protocol(seeds=2)},
    trial=trial,
    parts=(
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
        part("all of these", "LayerNorm cannot become an RMSNorm without parameters", "both"),
        part("division", "no linear layer gives what LayerNorm gives", "linear_layernorm"),
        part("RMSNorm's division", "no linear layer gives what RMSNorm gives", "linear_rmsnorm"),
    ),
    caveats=(
        "Pre-LN: in a residual stream every layer that writes into the stream has to be centred, the embedding too.",
        "A single linear layer on either side; after a nonlinearity or a sum with an uncentred branch nothing folds.",
    ),
    would_change="A norm whose divisor is a constant at inference.",
)
