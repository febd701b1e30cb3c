"""LayerNorm, GroupNorm, InstanceNorm and RMSNorm give a sample the same result whatever the batch.

Said by: all five documents. Primary source: Ba et al. 2016 for LN. True of the formula; kernels may still sum in
another order for another batch, so it is counted in units in the last place (ulp). Rows 1 to 8192 and widths 64 to
16384, with at most 2^21 values a tensor. torch's layers decide four parts. NormLab's own RMSNorm is a part by itself,
because it takes another path for small inputs (speed), and so does depend on the batch in its last bits.

    normlab run ln-batch-independent        25 seconds on one core
"""

from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import exact_within

ARMS = {
    f"{dtype}, {d} wide": {"dtype": dtype, "width": d}
    for dtype in ("float32", "bfloat16")
    for d in (64, 1000, 16384)
}


def trial(options, seed):
    """Largest distance in ulp between samples normalized in a batch and alone, per layer."""
    import torch
    from torch import nn

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    dtype, width = getattr(torch, options["dtype"]), options["width"]
    integer = torch.int32 if dtype == torch.float32 else torch.int16

    def ordered(y):
        bits = y.contiguous().view(integer).long()
        return torch.where(
            bits < 0, -(bits - torch.iinfo(integer).min), bits
        )  # -0 and 0 are the same

    def distance(layer, shape):
        x = (torch.randn(shape, generator=generator) * 3 + 1).to(dtype)
        picked = {0, shape[0] - 1, *torch.randint(shape[0], (6,), generator=generator).tolist()}
        with torch.no_grad():
            y = ordered(layer(x))
            return max(
                int((y[i : i + 1] - ordered(layer(x[i : i + 1].clone()))).abs().max())
                for i in picked
            )

    rows = [(n, width) for n in (1, 2, 7, 33, 256, 8192) if n * width <= 2**21]
    maps = [(n, 32, side, side) for n in (1, 2, 7, 33, 256) for side in (5, 16)]
    layers = {
        "layernorm": (nn.LayerNorm(width, dtype=dtype), rows),
        "rmsnorm": (nn.RMSNorm(width, dtype=dtype), rows),
        "groupnorm": (nn.GroupNorm(8, 32, dtype=dtype), maps),
        "instancenorm": (nn.InstanceNorm2d(32), maps),
        "own rmsnorm": (make_norm("rmsnorm", width, "NC"), rows),
    }
    return {
        name: max(distance(layer, shape) for shape in shapes)
        for name, (layer, shapes) in layers.items()
    }


def ulp(evidence, name):
    """Bit by bit is supported, up to 2 ulp partly."""
    finding = exact_within(evidence.table(tuple(ARMS), name).max(axis=1), 0, "ulp")
    if finding.verdict == "refuted" and finding.effect <= 2:
        return replace(
            finding, verdict="partly supported", text=f"{finding.text}; partly supported up to 2"
        )
    return finding


def part(name, statement):
    rule = "largest distance of 20 draws, float32 and bfloat16: supported if 0 ulp, partly up to 2, else refuted"
    return Part(name, statement, rule, lambda evidence: ulp(evidence, name))


CLAIM = Claim(
    slug="ln-batch-independent",
    statement="LN, GN, IN and RMSNorm give a sample the same result whatever the batch.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        *("BatchNorm vs LayerNorm", "Normalization Deep-Dive"),
        *("How BN, IN and LN differ", "Batch Normalization, a walkthrough"),
    ),
    source="Ba et al. 2016: the statistics of a layer come from one training case.",
    prediction="supported on a CPU, bit by bit, but for our own RMSNorm, which calibration showed to be 4 ulp off",
    arms=tuple(Arm(name, options=options) for name, options in ARMS.items()),
    protocols={"cpu": Protocol(seeds=20, seconds_per_trial=0.2), "smoke": Protocol(seeds=1)},
    trial=trial,
    parts=(
        *(
            part(kind, f"torch's {kind}")
            for kind in ("layernorm", "rmsnorm", "groupnorm", "instancenorm")
        ),
        part("own rmsnorm", "the RMSNorm of this project"),
    ),
    caveats=("One thread of a CPU. Kernels of a GPU may sum in another order for another batch.",),
    would_change="A kernel that sums in another order for another number of rows: on a GPU, or with more threads.",
)
