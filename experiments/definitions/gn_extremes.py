"""GN tends to IN with few channels per group, to LN with many, and then needs large batches again.

Said by: two documents (below).
Primary source: Wu & He 2018, section 3.1: G = 1 is LN, G = C is IN, and each sample is computed by
itself.
Measured: GN at both ends against IN and LN. The last clause, which only the first document makes,
can be true only if a sample's output depends on its batch mates for some G; that is measured, too.
Cost: normlab run gn-extremes --profile full    40 trials, a second of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import AtLeast, Exact

ARMS = ("float32", "float64")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest differences: GN at both extremes against torch's IN and LN, and of a sample under
    other batch mates."""
    import torch
    from torch import Tensor, nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, options["dtype"])
    x = torch.randn(8, 32, 8, 8, generator=generator, dtype=dtype) * 3 + 1
    others = torch.randn(8, 32, 8, 8, generator=generator, dtype=dtype) * 3 + 1
    # The first sample stays, beside others 100 times as large.
    changed = torch.cat([x[:1], 100 * others[1:]])

    def group_norm(groups: int, x: Tensor) -> Tensor:
        with torch.no_grad():
            norm = make_norm("groupnorm", 32, "NCHW", num_groups=groups)
            y: Tensor = norm.to(dtype)(x)
        return y

    # Without affine: torch's is per element, and GN's per channel.
    layer_norm = nn.LayerNorm((32, 8, 8), elementwise_affine=False)
    dependence = []
    for groups in (1, 2, 4, 8, 16, 32):
        y = group_norm(groups, x)
        for other in (x[:1], changed):  # alone, and beside other batch mates
            dependence.append(float((y[:1] - group_norm(groups, other)[:1]).abs().max()))
    return {
        "instance": float((group_norm(32, x) - nn.InstanceNorm2d(32)(x)).abs().max()),
        "layer": float((group_norm(1, x) - layer_norm(x)).abs().max()),
        "dependence": max(dependence),
    }


CLAIM = Claim(
    slug="gn-extremes",
    statement="GN tends to IN with few channels per group, to LN with many, and then needs large "
    "batches again.",
    documents=(
        "How BN, IN and LN differ",
        "Differences between Batch, Layer, Group and Instance Norm",
    ),
    source="Wu & He 2018, section 3.1: GN is LN at G = 1 and IN at G = C, and independent along "
    "the batch axis.",
    prediction="partly supported: two clauses of three; GN never sees the batch",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols=direct_protocols(20, 0.03),
    trial=trial,
    clauses=(
        Part(
            "one channel",
            "with one channel per group GN is IN",
            largest(ARMS, "instance", words="largest difference to IN, fp32 and fp64"),
            Exact(1e-5),
        ),
        Part(
            "one group",
            "with all channels in one group GN is LN over (C, H, W)",
            largest(ARMS, "layer", words="largest difference to LN, fp32 and fp64"),
            Exact(1e-5),
        ),
        Part(
            "large batches",
            "for some G a sample's output depends on its batch",
            largest(
                ARMS,
                "dependence",
                words="largest change of a sample's output with other batch mates, over G = 1 to "
                "32, fp32 and fp64",
                unit="change of the output",
            ),
            AtLeast(1e-6),
        ),
    ),
    answers=Answers(
        supported="GN is IN at one channel per group and LN at one group, and a sample's output "
        "moves with its batch.",
        refuted="GN is neither IN at one channel per group ({one channel.effect:.1e} off) nor LN "
        "at one group, and does not see the batch.",
        partly="GN is IN at one channel per group and LN at one group, to "
        "{one channel.effect:.0e} and {one group.effect:.0e}; but it never sees the batch: a "
        "sample's output changes by {large batches.effect:.1g} with its mates.",
    ),
    caveats=(
        "Equality holds without affine: torch's LayerNorm has a scale and shift per element, GN "
        "per channel.",
    ),
    would_change="A GN whose output for a sample moves when another sample does.",
    first_seed=0,
    metrics={
        "instance": "GN with one channel a group: largest difference from IN",
        "layer": "GN with one group: largest difference from LN",
        "dependence": "GN: largest change of an output with other batch mates",
    },
)
