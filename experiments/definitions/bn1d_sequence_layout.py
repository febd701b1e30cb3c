"""On a tensor (4, 20, 512) BatchNorm normalizes each of 512 features over batch and position.

Said by: "Differences between Batch, Layer, Group and Instance Norm", in a comment.
Primary source: torch's BatchNorm1d takes (N, C, L), channels in dimension 1. So BatchNorm1d(512)
refuses that tensor, BatchNorm1d(20) takes it without a word and normalizes each position over batch
and features, and only a transposed tensor gives what is described.
Measured: how far the result of each call is from what is described; a refused one is wholly off.
Cost: normlab run bn1d-sequence-layout --profile full    40 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

ARMS = ("float32", "float64")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """The distance of each call from what is described; of one that is refused, 1."""
    import torch
    from torch import Tensor, nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    x = torch.randn(4, 20, 512, generator=generator, dtype=dtype)
    # Features of different sizes: statistics over the wrong axis then give other values.
    x = x * torch.empty(512, dtype=dtype).uniform_(0.3, 3, generator=generator) + 1

    def over(axes: tuple[int, ...]) -> Tensor:
        variance = x.var(axes, unbiased=False, keepdim=True)
        return (x - x.mean(axes, keepdim=True)) / (variance + 1e-5).sqrt()

    def as_it_stands(features: int) -> float:
        try:
            return error(nn.BatchNorm1d(features).to(dtype)(x), described)
        except (RuntimeError, ValueError):
            return 1.0

    def error(y: Tensor, target: Tensor) -> float:
        return float((y - target).detach().abs().max())

    described = over((0, 1))
    # (4, 20, 512) read as (N, C, L): 20 channels.
    by_position = nn.BatchNorm1d(20).to(dtype)(x)
    # (N, T, C) -> (N, C, T) and back.
    transposed = nn.BatchNorm1d(512).to(dtype)(x.transpose(1, 2)).transpose(1, 2)
    return {
        "as_it_stands": as_it_stands(512),
        "by_position_error": error(by_position, over((0, 2))),
        "by_position_vs_described": error(by_position, described),
        "transposed_error": error(transposed, described),
        # Ours is told where the channels are.
        "layout_stated_error": error(make_norm("batchnorm", 512, "NTC").to(dtype)(x), described),
    }


CLAIM = Claim(
    slug="bn1d-sequence-layout",
    statement="On sequences (4, 20, 512) BatchNorm normalizes each feature over batch and "
    "position.",
    documents=("Differences between Batch, Layer, Group and Instance Norm",),
    source="torch.nn.BatchNorm1d takes (N, C) or (N, C, L), channels in dimension 1; it checks "
    "their number only.",
    prediction="partly supported: after a transposition; the tensor as it stands is refused",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    trial_version=2,
    clauses=(
        Part(
            "as it stands",
            "BatchNorm1d(512) takes the tensor and normalizes each feature",
            largest(
                ARMS,
                "as_it_stands",
                words="largest distance of an output of BatchNorm1d(512) from what is described, 1 "
                "where it refuses the tensor, fp32 and fp64",
            ),
            Exact(1e-5),
        ),
    ),
    scope=(
        Part(
            "transposed",
            "on the tensor transposed to (4, 512, 20) it normalizes each feature over batch and "
            "position",
            largest(
                ARMS,
                "transposed_error",
                words="largest distance of an output from what is described, fp32 and fp64",
            ),
            Exact(1e-5),
        ),
        Part(
            "positions",
            "BatchNorm1d(20), which takes the tensor, normalizes each feature",
            largest(
                ARMS,
                "by_position_vs_described",
                words="largest distance of an output of BatchNorm1d(20) from what is described, "
                "fp32 and fp64",
            ),
            Exact(1e-5),
        ),
    ),
    answers=Answers(
        supported="BatchNorm1d(512) takes the tensor (4, 20, 512) and normalizes each feature.",
        refuted="BatchNorm1d(512) refuses the tensor (4, 20, 512); on the transposed one it does "
        "what is described, to {transposed.effect:.0e}, and BatchNorm1d(20) silently normalizes "
        "positions.",
    ),
    caveats=(
        "BatchNorm1d(20) takes the tensor and normalizes positions; with as many positions as "
        "features none refuses.",
    ),
    would_change="A BatchNorm1d that takes channels last.",
    metrics={
        "as_it_stands": "BatchNorm1d(512): largest distance from the claim (1: refused)",
        "transposed_error": "BatchNorm1d(512), tensor transposed: largest distance from the claim",
        "by_position_vs_described": "BatchNorm1d(20): largest distance from the claim",
    },
)
