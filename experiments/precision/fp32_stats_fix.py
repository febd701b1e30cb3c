"""Frameworks keep the statistics of norms in float32, whatever the precision of the input.

Said by: "How BN, IN and LN differ".
Primary source: PyTorch's own table of what autocast runs in float32.
Measured: what a layer divides by and subtracts, in two ways to train in 16 bits: autocast (float32
parameters and buffers) and a model turned to 16 bits as a whole. It is read off the layer's output:
slope over input, by least squares over the 16,384 values of a statistic, and mean, beside those of
the exact output in 16 bits; 8 statistics, deviations from 15 to 45. (Trial 1 took the exact output
unrounded; its rounding has a slope of its own where the deviation is near 16, 32 or 128/3.) In
units of the format's rounding error (2^-11 and 2^-8 relative) a statistic that was ever stored in
16 bits is off by up to 1; the bound is an eighth. All five layers in both ways decide together;
scope: each way, what the running statistics hold, and whether CUDA's autocast has a rule for a
layer at all.
Cost: normlab run fp32-stats-fix --profile full    80 trials, 4 seconds of one core
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, every
from normlab.claims.rules import Exact, Listed

if TYPE_CHECKING:
    from torch import Tensor

N, STATISTICS = 16384, 8
UNITS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
AUTOCAST, WHOLE = "autocast", "16 bits"
OPERATIONS = ("layer_norm", "group_norm", "rms_norm", "batch_norm", "instance_norm")
RUNNING = ("running",)


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest errors, in units, of what each layer applied and of what batch norm stored.

    And autocast's rules.
    """
    import torch

    dtype, unit = getattr(torch, options["dtype"]), UNITS[options["dtype"]]
    generator = torch.Generator().manual_seed(seed)
    deviations = 30 * (0.5 + torch.rand(STATISTICS, 1, generator=generator))
    x = (torch.randn(STATISTICS, N, generator=generator) + 0.5) * deviations
    x = x.to(dtype)  # a row, a statistic
    wide = x.double()
    var, mean = torch.var_mean(wide, 1, keepdim=True, unbiased=False)
    metrics = {}
    for name, (layer, given) in layers(x).items():
        metrics[f"cast_{name}"] = float(
            torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "AutocastCUDA")
        )
        # autocast leaves parameters and buffers in float32.
        layer = layer.to(dtype) if options["mode"] == WHOLE else layer
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=options["mode"] == AUTOCAST):
            y = layer(given)
        # (8, 16384) again: a row is what one statistic is of.
        rows = (y.transpose(0, 1) if name == "batch_norm" else y).double().reshape(STATISTICS, N)
        centred = wide if name == "rms_norm" else wide - mean
        right = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        # Rounded as the layer's own output is: rounding has a slope of its own.
        right = right.to(dtype).double()
        # By least squares over a row; 1 where the layer divides by what it should.
        slope = (centred * rows).sum(1) / (centred * right).sum(1) - 1
        off = torch.stack([slope, (rows - right).mean(1)])
        metrics[name] = float(off.abs().max()) / unit
        if name == "batch_norm":
            # torch stores the unbiased variance.
            stored = [layer.running_mean / mean[:, 0], layer.running_var / var[:, 0] * (N - 1) / N]
            metrics["running"] = float((torch.stack(stored) - 1).abs().max()) / unit
    return metrics


def layers(x: "Tensor") -> "dict[str, tuple[Any, Tensor]]":
    """Each layer, and the rows of `x` as the shape in which a row is one of its statistics."""
    from torch import nn

    image = x.view(STATISTICS, 16, 32, 32)
    one_image = x.view(1, STATISTICS, 128, 128)
    return {
        # Momentum 1: the buffers are those of this one batch.
        "batch_norm": (nn.BatchNorm2d(STATISTICS, momentum=1.0), image.transpose(0, 1)),
        "instance_norm": (nn.InstanceNorm2d(STATISTICS, affine=True), one_image),
        "layer_norm": (nn.LayerNorm(N), x),
        "group_norm": (nn.GroupNorm(1, 16), image),
        "rms_norm": (nn.RMSNorm(N, eps=1e-5), x),
    }


def part(
    name: str, statement: str, modes: tuple[str, ...], metrics: tuple[str, ...] = OPERATIONS
) -> Part:
    arms = [f"{dtype}, {mode}" for mode in modes for dtype in UNITS]
    what = f"statistics that {', '.join(metrics)} apply"
    if metrics == RUNNING:
        what = "running statistics that batch norm stores"
    words = f"error of the {what}, float16 and bfloat16, in units of the format's rounding"
    return Part(name, statement, every(arms, metrics, words=words), Exact(0.125))


def cast_by_autocast(evidence: Evidence) -> Values:
    """(5,): 1 for an operation that CUDA's autocast has a rule for."""
    arm = f"float16, {AUTOCAST}"
    casts = [evidence.values(arm, f"cast_{name}")[0] == 1 for name in OPERATIONS]
    return np.array(casts, dtype=float)


CLAIM = Claim(
    slug="fp32-stats-fix",
    statement="Frameworks keep the statistics of normalization layers in float32, whatever the "
    "input's precision.",
    documents=("How BN, IN and LN differ",),
    source="PyTorch's autocast for CUDA runs layer, group and RMS norm in float32, and has no rule "
    "for batch norm.",
    prediction="partly supported: under autocast; a model in 16 bits stores those of BatchNorm in "
    "16 bits",
    arms=tuple(
        Arm(f"{dtype}, {mode}", options={"dtype": dtype, "mode": mode})
        for mode in (AUTOCAST, WHOLE)
        for dtype in UNITS
    ),
    protocols=direct_protocols(20, 0.05),
    trial=trial,
    trial_version=2,
    clauses=(
        part(
            "all layers",
            "for 16-bit input all five layers apply statistics of float32, under autocast and in "
            "a model of 16 bits",
            (AUTOCAST, WHOLE),
        ),
    ),
    scope=(
        part("autocast", "under autocast all five layers apply statistics of float32", (AUTOCAST,)),
        part(
            "running, autocast",
            "under autocast batch norm stores statistics of float32",
            (AUTOCAST,),
            RUNNING,
        ),
        part(
            "layer, group and RMS",
            "in a model of 16 bits they apply float32",
            (WHOLE,),
            OPERATIONS[:3],
        ),
        part(
            "batch and instance",
            "in a model of 16 bits they apply float32",
            (WHOLE,),
            OPERATIONS[3:],
        ),
        part(
            "running, 16 bits", "in a model of 16 bits batch norm stores float32", (WHOLE,), RUNNING
        ),
        Part(
            "casts",
            "CUDA's autocast has a rule for each of the five layers; without one it takes 16 bits "
            "as they come",
            Quantity(
                "layers with an entry for CUDA's autocast in torch's table of operations",
                "of 5 layers",
                cast_by_autocast,
                (f"float16, {AUTOCAST}",),
            ),
            Listed(OPERATIONS, 1.0),
        ),
    ),
    answers=Answers(
        supported="For 16-bit input all five layers of torch keep float32 statistics: errors of "
        "{all layers.effect:.2f} units of rounding at most.",
        refuted="Not all layers keep float32 statistics for 16-bit input: in a model turned to 16 "
        "bits batch and instance norm are off by {batch and instance.effect:.1f} units of "
        "rounding, layer, group and RMS norm by {layer, group and RMS.effect:.2f}; under autocast "
        "all five by {autocast.effect:.2f} at most.",
        inconclusive="Too few draws.",
    ),
    caveats=(
        "Torch on a CPU; only the table of rules for CUDA is read here. Flax's layers reduce in "
        "float32 by default.",
    ),
    would_change="A torch that keeps the buffers of a model in 16 bits in float32, as this "
    "repository's layers do.",
    first_seed=0,
    metrics={
        **{
            name: f"error of the statistics that {name} applies, in roundings"
            for name in OPERATIONS
        },
        "running": "error of the running statistics of batch_norm, in roundings",
        **{
            f"cast_{name}": f"{name} has a rule of CUDA's autocast, 1 (yes) or 0 (no)"
            for name in OPERATIONS
        },
    },
)
