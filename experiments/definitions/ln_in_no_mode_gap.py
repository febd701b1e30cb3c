"""LayerNorm and InstanceNorm compute the same in training and at evaluation.

Said by: "How BN, IN and LN differ" and "BatchNorm vs LayerNorm".
Primary source: Ba et al. 2016: LN performs the same computation at training and test times.
Measured: the largest difference between both modes, of torch's layers and ours, by default. The
exception is a part of the API, not of the claim: InstanceNorm2d(track_running_stats=True) switches,
as BatchNorm does; both are recorded for contrast.
Cost: normlab run ln-in-no-mode-gap --profile full    60 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

ARMS = ("float32", "float64", "bfloat16")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest |train(x) - eval(x)| of each layer after 5 other batches in train mode."""
    import torch
    from torch import nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    layers: dict[str, list[nn.Module]] = {
        "layernorm": [make_norm("layernorm", 16, "NCHW"), nn.LayerNorm((16, 8, 8))],
        "instancenorm": [make_norm("instancenorm", 16, "NCHW"), nn.InstanceNorm2d(16, affine=True)],
        "tracked_instancenorm": [nn.InstanceNorm2d(16, track_running_stats=True)],
        "batchnorm": [make_norm("batchnorm", 16, "NCHW")],
    }

    def gap(layer: nn.Module) -> float:
        # Other batches, so that running statistics, if there are any, have moved.
        for _ in range(5):
            layer(2 * torch.randn(8, 16, 8, 8, generator=generator).to(dtype) + 1)
        x = 2 * torch.randn(8, 16, 8, 8, generator=generator).to(dtype) + 1
        return float((layer.train()(x) - layer.eval()(x)).abs().max())

    metrics = {}
    with torch.no_grad():
        for name, pair in layers.items():
            metrics[name] = max(gap(layer.to(dtype)) for layer in pair)
    return metrics


def part(kind: str) -> Part:
    gap = largest(
        ARMS,
        kind,
        words="largest difference between train mode and eval mode, fp32, fp64 and bf16",
        unit="largest difference",
    )
    return Part(kind, f"{kind} in train mode and in eval mode", gap, Exact(0.0))


CLAIM = Claim(
    slug="ln-in-no-mode-gap",
    statement="LayerNorm and InstanceNorm compute the same in training and at evaluation.",
    documents=("How BN, IN and LN differ", "BatchNorm vs LayerNorm"),
    source="Ba et al. 2016: layer normalization performs exactly the same computation at training "
    "and test times.",
    prediction="supported, bit by bit; InstanceNorm with running statistics is the exception",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    clauses=(part("layernorm"), part("instancenorm")),
    answers=Answers(
        supported="LayerNorm and InstanceNorm compute the same in both modes: differences of "
        "{layernorm.effect:.1g} and {instancenorm.effect:.1g}.",
        refuted="LayerNorm and InstanceNorm differ between both modes, by {layernorm.effect:.1e} "
        "and {instancenorm.effect:.1e}.",
        partly="One of both differs between the modes: LayerNorm by {layernorm.effect:.1e}, "
        "InstanceNorm by {instancenorm.effect:.1e}.",
    ),
    caveats=(
        "torch's InstanceNorm2d with track_running_stats=True does switch (tracked_instancenorm in "
        "the records).",
    ),
    would_change="A layer of either kind that keeps running statistics by default.",
    first_seed=0,
    metrics={
        "layernorm": "LayerNorm: largest difference of train mode from eval mode",
        "instancenorm": "InstanceNorm: largest difference of train mode from eval mode",
    },
)
