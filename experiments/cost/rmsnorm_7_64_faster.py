"""RMSNorm is 7 to 64 % faster than LayerNorm.

Said by: "Normalization Deep-Dive", of one call.
Primary source: Zhang & Sennrich 2019 (arXiv 1910.07467), abstract: it "reduces the running time by
7%~64% on different models". That is the time of whole models in the frameworks of 2019, where
neither norm was one kernel.
Measured: times. "p % faster" here means a time reduced by p %: 7 to 64 % is a ratio of times
t(RMSNorm) / t(LayerNorm) between 1 - 0.64 = 0.36 and 1 - 0.07 = 0.93. Two levels decide, of a
forward call in float32: both fused, by kernels of one hand, ours; and torch.nn as it is installed
(on a GPU two fused kernels, on a CPU a fused LayerNorm against a chain of operations), of 1,024
rows and more: in fewer a call's own cost stands before the norm's. Scope: fewer rows, backward,
bfloat16, widths by themselves, both fused by torch.compile, both as tensor operations in eager
mode, which is the paper's case, and a training step of a whole transformer. Repetitions are fresh
readings on one machine.
Cost: normlab run rmsnorm-7-64-faster --profile full    60 trials, 5 minutes of one core
"""

from collections.abc import Sequence
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.figure import Band, Cells
from normlab.claims.protocols.timing import ratio_of, timing_protocols
from normlab.claims.rules import Between
from normlab.measure.timing.trials import CPU, GPU, QUICK, rows, trial

RULE = Between(0.36, 0.93)
MODES = ["forward", "forward_backward"]
BOTH: dict[str, Any] = {"dtypes": ["float32", "bfloat16"], "modes": MODES}
HEIGHTS, WIDTHS = (1, 64, 1024), (512, 2048, 8192)
ROWS = (1, 64, 1024, 4096, 65536)  # on any device
CPU_GRIDS: dict[str, Any] = {
    "rows": rows(HEIGHTS, WIDTHS, **BOTH),
    # Float32 alone: by hand the statistics would be in bfloat16, too.
    "plain": rows(HEIGHTS, WIDTHS, modes=MODES),
    # Compiling each takes as long as 50 readings.
    "compiled": {"shapes": [[2048, 512], [512, 2048], [128, 8192]]},
    "model": {"steps": [{"batch": 8, "context": 64, "width": width} for width in (64, 128)]},
}
TALL, WIDE = (1, 64, 4096, 65536), (512, 1024, 2048, 4096, 8192)
GPU_GRIDS: dict[str, Any] = {
    "rows": rows(TALL, WIDE, most=2**29, **BOTH),
    "plain": rows(TALL, WIDE, most=2**29, modes=MODES),
    "compiled": rows(TALL[1:], WIDE[::2], most=2**29, **BOTH),
    "model": {"steps": [{"batch": 16, "context": 512, "width": width} for width in (512, 1024)]},
}
TINY = {"shapes": [[4, 64]]}
TINY_GRIDS: dict[str, Any] = {
    "rows": {**TINY, "modes": MODES},
    "plain": {**TINY, "modes": MODES},
    "compiled": TINY,
    "model": {"steps": [{"batch": 2, "context": 4, "width": 8}]},
}
# Of 1,024 rows and more, and of smoke's: in one row a call's overhead is timed, in another kind.
MANY = [f"{n}x{width}" for n in ROWS[2:] for width in WIDE] + ["4x64"]
ARMS = {  # name -> implementation, grid
    "compiled": ("compiled", "compiled"),
    "torch.nn": ("torch.nn", "rows"),
    "hand-written": ("hand-written", "plain"),
    "ours": ("ours", "rows"),
    "model, torch.nn": ("torch.nn", "model"),
    "model, ours": ("ours", "model"),
}


def arm(name: str) -> Arm:
    implementation, grid = ARMS[name]
    sides: dict[str, Any] = {
        "subject": ("rmsnorm", implementation),
        "baseline": ("layernorm", implementation),
        "grid": grid,
    }
    return Arm(name, options={**sides, "model": "transformer"} if grid == "model" else sides)


def part(title: str, where: str, arm: str, *kind: str, any_of: Sequence[str] = ()) -> Part:
    words = "time of RMSNorm over that of LayerNorm"
    return Part(
        title,
        f"RMSNorm takes 0.36 to 0.93 of LayerNorm's time {where}",
        ratio_of(arm, *kind, any_of=any_of, words=words),
        RULE,
    )


CLAIM = Claim(
    slug="rmsnorm-7-64-faster",
    statement="RMSNorm is 7 to 64 % faster than LayerNorm.",
    documents=("Normalization Deep-Dive",),
    source="Zhang & Sennrich 2019, abstract: running time reduced by 7 to 64 %, of whole models in "
    "frameworks of 2019.",
    prediction="partly supported: where both are tensor operations; refuted fused against fused "
    "and for whole models",
    arms=tuple(arm(name) for name in ARMS),
    protocols=timing_protocols(
        {**QUICK, "grids": TINY_GRIDS},
        {**CPU, "grids": CPU_GRIDS},
        {**GPU, "grids": GPU_GRIDS},
        5.0,
        gpu_seconds=40.0,
    ),
    trial=trial,
    timed=True,
    clauses=(
        part("fused", "by fused kernels of one hand", "ours", "float32", "forward", any_of=MANY),
        part(
            "as installed",
            "as torch.nn's own layers",
            "torch.nn",
            "float32",
            "forward",
            any_of=MANY,
        ),
    ),
    scope=(
        *(
            part(
                f"{arm}, {dtype}, {mode}",
                f"as layers of {arm} in {dtype}, {mode}",
                arm,
                dtype,
                mode,
            )
            for arm in ("ours", "torch.nn")
            for dtype in ("float32", "bfloat16")
            for mode in MODES
            if (dtype, mode) != ("float32", "forward")
        ),
        *(
            part(
                f"fused, {width} wide",
                f"by fused kernels at a width of {width}",
                "ours",
                "float32",
                "forward",
                any_of=[f"{n}x{width}" for n in ROWS],
            )
            for width in WIDTHS
        ),
        *(
            part(
                f"{how}, {n} rows",
                f"by {layers} of {n} rows",
                arm,
                "float32",
                "forward",
                any_of=[f"{n}x{width}" for width in WIDE],
            )
            for how, layers, arm in (
                ("fused", "fused kernels", "ours"),
                ("as installed", "torch.nn's layers", "torch.nn"),
            )
            for n in ROWS[:2]
        ),
        part(
            "compiled",
            "where torch.compile fuses both, forward and backward",
            "compiled",
            "float32",
        ),
        part(
            "hand-written",
            "where both are written as tensor operations, forward",
            "hand-written",
            "forward",
        ),
        part(
            "model, torch.nn",
            "in the training step of a transformer with torch.nn's layers: all else is in it",
            "model, torch.nn",
        ),
        part("model, ours", "in the same step with ours", "model, ours"),
    ),
    answers=Answers(
        supported="A call of RMSNorm takes {fused.effect:.2f} times as long as LayerNorm "
        "({fused.low:.2f} to {fused.high:.2f}) where both are fused kernels of one hand, and "
        "{as installed.effect:.2f} times as installed in torch.",
        refuted="A call of RMSNorm is not 7 to 64 % faster: it takes {fused.effect:.2f} times as "
        "long as LayerNorm ({fused.low:.2f} to {fused.high:.2f}) where both are fused kernels of "
        "one hand, and {as installed.effect:.2f} times as installed in torch.",
        partly="It depends on the kernels: a call of RMSNorm takes {fused.effect:.2f} times as "
        "long as LayerNorm ({fused.low:.2f} to {fused.high:.2f}) where both are fused by one "
        "hand, and {as installed.effect:.2f} times ({as installed.low:.2f} to "
        "{as installed.high:.2f}) as installed in torch.",
        inconclusive="A call of RMSNorm takes {fused.effect:.2f} times as long as LayerNorm "
        "({fused.low:.2f} to {fused.high:.2f}) where both are fused by one hand, and "
        "{as installed.effect:.2f} times as installed in torch: not both are decided.",
    ),
    caveats=(
        "Repetitions on one machine: another processor or release of torch may order the kernels "
        "otherwise.",
        "On a CPU torch.nn's LayerNorm is one kernel in both directions and its RMSNorm is not.",
        "Each ratio is a mean over widths and rows (1,024 and more where it decides), whose range "
        "stands beside it; the models are small.",
    ),
    would_change="Kernels of both norms, equally fused, of which RMSNorm's reads or writes less.",
    figure=Cells(x_label="width of a row", band=Band(RULE.low, RULE.high, "7 to 64 % faster")),
    metrics={
        "ratio of times": "time of RMSNorm over that of LayerNorm",
    },
)
