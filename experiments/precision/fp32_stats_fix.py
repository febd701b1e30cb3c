"""Frameworks keep the statistics of normalization layers in float32, whatever the precision of the input.

Said by: "How BN, IN and LN differ". Two ways to train in 16 bits: autocast (float32 parameters and buffers) and a model
turned to 16 bits as a whole. What a layer divides by and subtracts is read off its output: slope over input, by least
squares over the 16,384 values of a statistic, and mean, beside those of the exact output in 16 bits; 8 statistics,
deviations from 15 to 45. (Trial 1 took the exact output unrounded; its rounding has a slope of its own where the
deviation is near 16, 32 or 128/3.) In units of the format's rounding error (2^-11 and 2^-8 relative) a statistic that
was ever stored in 16 bits is off by up to 1; the bound is an eighth. What the running statistics hold is a part, and
whether CUDA's autocast has a rule for a layer at all.

    normlab run fp32-stats-fix        10 seconds on one core
"""

import numpy as np
from normlab.claims.census import census

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import exact_within

N, STATISTICS = 16384, 8
UNITS = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
MODES = ("autocast", "16 bits")
OPERATIONS = ("layer_norm", "group_norm", "rms_norm", "batch_norm", "instance_norm")


def trial(options, seed):
    """Largest errors, in units, of what each layer applied and of what batch norm stored, and autocast's rules."""
    import torch
    from torch import nn

    dtype, unit = getattr(torch, options["dtype"]), UNITS[options["dtype"]]
    generator = torch.Generator().manual_seed(seed)
    deviations = 30 * (0.5 + torch.rand(STATISTICS, 1, generator=generator))
    x = ((torch.randn(STATISTICS, N, generator=generator) + 0.5) * deviations).to(
        dtype
    )  # a row, a statistic
    wide = x.double()
    var, mean = torch.var_mean(wide, 1, keepdim=True, unbiased=False)
    image = (STATISTICS, 16, 32, 32)
    layers = {
        "batch_norm": (nn.BatchNorm2d(STATISTICS, momentum=1.0), x.view(image).transpose(0, 1)),
        "instance_norm": (
            nn.InstanceNorm2d(STATISTICS, affine=True),
            x.view(1, STATISTICS, 128, 128),
        ),
        "layer_norm": (nn.LayerNorm(N), x),
        "group_norm": (nn.GroupNorm(1, 16), x.view(image)),
        "rms_norm": (nn.RMSNorm(N, eps=1e-5), x),
    }
    metrics = {}
    for name, (layer, given) in layers.items():
        metrics[f"cast_{name}"] = float(
            torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "AutocastCUDA")
        )
        layer = layer.to(dtype) if options["mode"] == "16 bits" else layer
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=options["mode"] == "autocast"):
            y = layer(given)
        rows = (y.transpose(0, 1) if name == "batch_norm" else y).double().reshape(STATISTICS, N)
        centred = wide if name == "rms_norm" else wide - mean
        right = (
            (centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()).to(dtype).double()
        )
        off = torch.stack(
            [(centred * rows).sum(1) / (centred * right).sum(1) - 1, (rows - right).mean(1)]
        )
        metrics[name] = float(off.abs().max()) / unit
        if name == "batch_norm":
            stored = torch.stack(
                [layer.running_mean / mean[:, 0], layer.running_var / var[:, 0] * (N - 1) / N]
            )
            metrics["running"] = float((stored - 1).abs().max()) / unit
    return metrics


def part(name, statement, mode, metrics):
    arms = [f"{dtype}, {mode}" for dtype in UNITS]

    def decide(evidence):
        return exact_within(
            np.concatenate([evidence.values(arm, m) for arm in arms for m in metrics]), 0.125
        )

    rule = "largest error of 40 draws or more, float16 and bfloat16, within 0.125 units of the format's rounding"
    return Part(name, statement, rule, decide)


def cast_by_autocast(evidence):
    arm = f"float16, {MODES[0]}"
    return census(
        {name: evidence.values(arm, f"cast_{name}")[0] == 1 for name in OPERATIONS},
        1.0,
        "of 5 layers",
    )


CLAIM = Claim(
    slug="fp32-stats-fix",
    statement="Frameworks keep the statistics of normalization layers in float32, whatever the input's precision.",
    documents=("How BN, IN and LN differ",),
    source="PyTorch's autocast for CUDA runs layer, group and RMS norm in float32, and has no rule for batch norm.",
    prediction="partly supported: under autocast; a model in 16 bits stores those of BatchNorm in 16 bits",
    arms=tuple(
        Arm(f"{dtype}, {mode}", options={"dtype": dtype, "mode": mode})
        for mode in MODES
        for dtype in UNITS
    ),
    protocols={"cpu": Protocol(seeds=20, seconds_per_trial=0.05), "smoke": Protocol(seeds=2)},
    trial=trial,
    trial_version=2,
    parts=(
        part(
            "autocast",
            "under autocast all five layers apply statistics of float32",
            MODES[0],
            OPERATIONS,
        ),
        part(
            "running, autocast",
            "under autocast batch norm stores statistics of float32",
            MODES[0],
            ("running",),
        ),
        part(
            "16 bits: layer, group, RMS",
            "in a model of 16 bits they apply float32",
            MODES[1],
            OPERATIONS[:3],
        ),
        part(
            "16 bits: batch, instance",
            "in a model of 16 bits they apply float32",
            MODES[1],
            OPERATIONS[3:],
        ),
        part(
            "running, 16 bits",
            "in a model of 16 bits batch norm stores float32",
            MODES[1],
            ("running",),
        ),
        Part(
            "casts",
            "CUDA's autocast has a rule for each of the five layers; without one it takes 16 bits as they come",
            "all of 5 in torch's table of operations; refuted by one exception",
            cast_by_autocast,
        ),
    ),
    caveats=(
        "Torch on a CPU; only the table of rules for CUDA is read here. Flax's layers reduce in float32 by default.",
    ),
    would_change="A torch that keeps the buffers of a model in 16 bits in float32, as this repository's layers do.",
)
