"""LN, GN, IN and RMSNorm give a sample the same result whatever the batch.

Said by: all five documents.
Primary source: Ba et al. 2016 for LN.
Measured: the distance between samples normalized in a batch and alone. The claim is true of the
formula; kernels may still sum in another order for another batch, so it is counted in units in the
last place (ulp). Rows 1 to 8192 and widths 64 to 16384, with at most 2^21 values a tensor. torch's
four layers decide; NormLab's own RMSNorm is scope.
Cost: normlab run ln-batch-independent --profile full    120 trials, 24 seconds of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import largest
from normlab.claims.rules import Exact

DTYPES = ("float32", "bfloat16")
WIDTHS = (64, 1000, 16384)
ARMS = tuple(
    Arm(f"{dtype}, {width} wide", options={"dtype": dtype, "width": width})
    for dtype in DTYPES
    for width in WIDTHS
)


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest distance in ulp between samples normalized in a batch and alone, per layer."""
    import torch
    from torch import Tensor, nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype, width = getattr(torch, options["dtype"]), options["width"]
    # The integer type of as many bits.
    integer = torch.int32 if dtype == torch.float32 else torch.int16

    def ordered(y: Tensor) -> Tensor:
        """Integers in the order of the floats: differences count ulp; -0 and 0 are the same."""
        bits = y.contiguous().view(integer).long()
        return torch.where(bits < 0, -(bits - torch.iinfo(integer).min), bits)

    def distance(layer: nn.Module, shape: tuple[int, ...]) -> int:
        x = (torch.randn(shape, generator=generator) * 3 + 1).to(dtype)
        # The first, the last and six more: each alone costs a call.
        drawn = torch.randint(shape[0], (6,), generator=generator).tolist()
        distances = []
        with torch.no_grad():
            y = ordered(layer(x))
            for i in {0, shape[0] - 1, *drawn}:
                alone = ordered(layer(x[i : i + 1].clone()))
                distances.append(int((y[i : i + 1] - alone).abs().max()))
        return max(distances)

    rows = [(n, width) for n in (1, 2, 7, 33, 256, 8192) if n * width <= 2**21]
    maps = [(n, 32, side, side) for n in (1, 2, 7, 33, 256) for side in (5, 16)]
    layers: dict[str, tuple[nn.Module, list[Any]]] = {
        "layernorm": (nn.LayerNorm(width, dtype=dtype), rows),
        "rmsnorm": (nn.RMSNorm(width, dtype=dtype), rows),
        "groupnorm": (nn.GroupNorm(8, 32, dtype=dtype), maps),
        # Without parameters it takes any dtype.
        "instancenorm": (nn.InstanceNorm2d(32), maps),
        "own rmsnorm": (make_norm("rmsnorm", width, "NC"), rows),
    }
    metrics = {}
    for name, (layer, shapes) in layers.items():
        metrics[name] = max(distance(layer, shape) for shape in shapes)
    return metrics


def part(name: str, statement: str) -> Part:
    words = (
        "largest distance between a sample's outputs in a batch and alone, all widths and dtypes"
    )
    distance = largest([arm.name for arm in ARMS], name, words=words, unit="ulp")
    return Part(name, statement, distance, Exact(0, partly=2))


CLAIM = Claim(
    slug="ln-batch-independent",
    statement="LN, GN, IN and RMSNorm give a sample the same result whatever the batch.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "BatchNorm vs LayerNorm",
        "Normalization Deep-Dive",
        "How BN, IN and LN differ",
        "Batch Normalization, a walkthrough",
    ),
    source="Ba et al. 2016: the statistics of a layer come from one training case.",
    prediction="supported on a CPU, bit by bit, but for our own RMSNorm, which calibration showed "
    "to be 4 ulp off",
    arms=ARMS,
    protocols=direct_protocols(20, 0.2),
    trial=trial,
    clauses=(
        part("layernorm", "torch's layernorm"),
        part("rmsnorm", "torch's rmsnorm"),
        part("groupnorm", "torch's groupnorm"),
        part("instancenorm", "torch's instancenorm"),
    ),
    scope=(part("own rmsnorm", "the RMSNorm of this project"),),
    answers=Answers(
        supported="LN, RMSNorm, GN and IN of torch give a sample the same result in any batch, to "
        "{layernorm.effect:.0f} units in the last place.",
        refuted="Results depend on the batch: LN by up to {layernorm.effect:.0f} units in the "
        "last place, RMSNorm {rmsnorm.effect:.0f}, GN {groupnorm.effect:.0f}, IN "
        "{instancenorm.effect:.0f}.",
        partly="Not all are the same to the last bit: LN moves with the batch by up to "
        "{layernorm.effect:.0f} units in the last place, RMSNorm {rmsnorm.effect:.0f}, GN "
        "{groupnorm.effect:.0f}, IN {instancenorm.effect:.0f}.",
    ),
    caveats=("One thread of a CPU. Kernels of a GPU may sum in another order for another batch.",),
    would_change="A kernel that sums in another order for another number of rows: on a GPU, or "
    "with more threads.",
    first_seed=0,
    metrics={
        name: f"{words}: largest |sample in a batch - alone|, ulp"
        for name, words in (
            ("layernorm", "nn.LayerNorm"),
            ("rmsnorm", "nn.RMSNorm"),
            ("groupnorm", "nn.GroupNorm"),
            ("instancenorm", "nn.InstanceNorm2d"),
            ("own rmsnorm", "NormLab's RMSNorm"),
        )
    },
)
