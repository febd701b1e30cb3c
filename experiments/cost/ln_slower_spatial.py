"""LayerNorm is slower than BatchNorm on large spatial maps.

Said by: "Differences between Batch, Layer, Group and Instance Norm".
Primary source: none measures it: reports of users speak of nn.LayerNorm with small channel counts.
Measured: times on maps of 32 x 32 and more; baseline is torch's BatchNorm in training mode, forward
and backward. Two LayerNorms are written in use, over (C, H, W) with torch's affine per element, and
over C by permuting there and back: both decide, in float32 and torch's default memory format,
channels first; that over (C, H, W) in two clauses, since larger maps differ in kind. Scope:
channels last, bfloat16, our channels-first kernel, GroupNorm with one group, and evaluation, where
BatchNorm is a fixed scale and shift.
Cost: normlab run ln-slower-spatial --profile full    60 trials, 5 minutes of one core
"""

from math import inf
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.figure import Cells
from normlab.claims.protocols.timing import ratio_of, timing_protocols
from normlab.claims.rules import Between
from normlab.measure.timing.trials import ALL_MAPS, CPU, GPU, LAYERNORMS, QUICK, maps, trial

SMALL, LARGE = (32, 64), (128, 256)
SIDES = SMALL + LARGE
TINY_SIDE = 4  # of smoke
AT_EVALUATION = ("over C, H, W", "permuted")


def arm(name: str, *, evaluation: bool = False) -> Arm:
    kind, implementation, _ = LAYERNORMS[name]
    # Always the same baseline: BatchNorm as torch has it.
    options: dict[str, Any] = {
        "subject": (kind, implementation),
        "baseline": ("batchnorm", "torch.nn"),
        "grid": "maps",
    }
    if evaluation:
        return Arm(f"evaluation, {name}", options={**options, "modes": ("evaluation",)})
    return Arm(name, options=options)


def part(
    arm: str, dtype: str, memory_format: str, title: str = "", sides: tuple[int, ...] = SIDES
) -> Part:
    """Of the maps of so many pixels a side, all of them or those of one kind."""
    of = "" if sides == SIDES else f", maps of {sides[0]} x {sides[0]} and {sides[1]} x {sides[1]}"
    words_of = f"time of LayerNorm over that of BatchNorm{of}"
    words = LAYERNORMS[arm.removeprefix("evaluation, ")][2]
    when = ", at evaluation" if arm.startswith("evaluation") else ""
    return Part(
        title or f"{arm}, {dtype}, {memory_format}",
        f"LayerNorm {words} takes at least 1.2 times as long as BatchNorm in {dtype}, "
        f"{memory_format}{when}{of}",
        ratio_of(arm, dtype, memory_format, sides=(TINY_SIDE, *sides), words=words_of),
        Between(1.2, inf),
    )


CLAIM = Claim(
    slug="ln-slower-spatial",
    statement="LayerNorm is slower than BatchNorm on large spatial maps.",
    documents=("Differences between Batch, Layer, Group and Instance Norm",),
    source="None; pytorch issue 76012 has nn.LayerNorm at 0.14 s and a custom kernel at 0.04 s on "
    "large maps.",
    prediction="partly supported: by permutation and at evaluation; refuted for the others on a "
    "CPU",
    arms=(
        *(arm(name) for name in LAYERNORMS),
        *(arm(name, evaluation=True) for name in AT_EVALUATION),
    ),
    protocols=timing_protocols(
        {**QUICK, "grids": {"maps": maps((TINY_SIDE,), 64, 4)}},
        {**CPU, "grids": {"maps": maps(SIDES, **ALL_MAPS)}},
        {**GPU, "grids": {"maps": maps(SIDES, 2**26, **ALL_MAPS)}},
        5.0,
    ),
    trial=trial,
    timed=True,
    clauses=(
        part("over C, H, W", "float32", "channels_first", "to 64 x 64", SMALL),
        part("over C, H, W", "float32", "channels_first", "from 128 x 128", LARGE),
        part("permuted", "float32", "channels_first", "over C"),
    ),
    scope=(
        *(
            part(name, dtype, form)
            for name in LAYERNORMS
            for dtype in ("float32", "bfloat16")
            for form in ("channels_first", "channels_last")
            if not (name in AT_EVALUATION and (dtype, form) == ("float32", "channels_first"))
        ),
        *(part(f"evaluation, {name}", "float32", "channels_first") for name in AT_EVALUATION),
    ),
    answers=Answers(
        supported="LayerNorm is slower than BatchNorm: over (C, H, W) {to 64 x 64.effect:.1f} "
        "times as long ({to 64 x 64.low:.1f} to {to 64 x 64.high:.1f}) on maps of 32 x 32 and "
        "64 x 64 and {from 128 x 128.effect:.1f} times on larger ones, over C by permutation "
        "{over C.effect:.1f} times.",
        refuted="LayerNorm does not take 1.2 times as long as BatchNorm: over (C, H, W) "
        "{to 64 x 64.effect:.2f} times ({to 64 x 64.low:.2f} to {to 64 x 64.high:.2f}) on maps of "
        "32 x 32 and 64 x 64 and {from 128 x 128.effect:.2f} times on larger ones, over C by "
        "permutation {over C.effect:.2f} times.",
        partly="It depends on the LayerNorm and the map: over (C, H, W) it takes "
        "{to 64 x 64.effect:.2f} times as long as BatchNorm on maps of 32 x 32 and 64 x 64 and "
        "{from 128 x 128.effect:.2f} times ({from 128 x 128.low:.2f} to "
        "{from 128 x 128.high:.2f}) on larger ones, over C by permutation {over C.effect:.2f} "
        "times.",
        inconclusive="LayerNorm over (C, H, W) takes {to 64 x 64.effect:.2f} times as long as "
        "BatchNorm on maps of 32 x 32 and 64 x 64 and {from 128 x 128.effect:.2f} times on larger "
        "ones, over C by permutation {over C.effect:.2f} times: not all are decided.",
    ),
    caveats=(
        "All maps have the same number of values, and 64 channels (16 at 256 x 256 on a CPU).",
        "torch's LayerNorm over (C, H, W) has a weight for each element and fits one size of map "
        "only.",
    ),
    would_change="A LayerNorm over C of contiguous maps that reads them as they lie, in torch "
    "itself.",
    figure=Cells(x_label="side of a map"),
    metrics={
        "ratio of times": "time of LayerNorm over that of BatchNorm",
    },
)
