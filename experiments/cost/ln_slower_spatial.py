"""LayerNorm is slower than BatchNorm on large spatial maps.

Said by: "Differences between Batch, Layer, Group and Instance Norm".
Primary source: none measures it: reports of users speak of nn.LayerNorm with small channel counts.
Measured: times on maps of 32 x 32 and more; baseline is torch's BatchNorm in training mode, forward
and backward. Two LayerNorms are written in use, over (C, H, W) with torch's affine per element, and
over C by permuting there and back: both decide, in float32 and torch's default memory format,
channels first. Scope: channels last, bfloat16, our channels-first kernel, GroupNorm with one group,
and evaluation, where BatchNorm is a fixed scale and shift.
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

SIDES = (32, 64, 128, 256)
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


def part(arm: str, dtype: str, memory_format: str, title: str = "") -> Part:
    words = LAYERNORMS[arm.removeprefix("evaluation, ")][2]
    when = ", at evaluation" if arm.startswith("evaluation") else ""
    return Part(
        title or f"{arm}, {dtype}, {memory_format}",
        f"LayerNorm {words} takes at least 1.2 times as long as BatchNorm in {dtype}, "
        f"{memory_format}{when}",
        ratio_of(arm, dtype, memory_format, words="time of LayerNorm over that of BatchNorm"),
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
        {**QUICK, "grids": {"maps": maps((4,), 64, 4)}},
        {**CPU, "grids": {"maps": maps(SIDES, **ALL_MAPS)}},
        {**GPU, "grids": {"maps": maps(SIDES, 2**26, **ALL_MAPS)}},
        5.0,
    ),
    trial=trial,
    timed=True,
    clauses=(
        part("over C, H, W", "float32", "channels_first", "over C, H, W"),
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
        supported="On maps of 32 x 32 and more torch's LayerNorm over (C, H, W) takes "
        "{over C, H, W.effect:.1f} times as long as BatchNorm ({over C, H, W.low:.1f} to "
        "{over C, H, W.high:.1f}), and over C by permutation {over C.effect:.1f} times.",
        refuted="On maps of 32 x 32 and more LayerNorm does not take 1.2 times as long as "
        "BatchNorm: over (C, H, W) {over C, H, W.effect:.2f} times ({over C, H, W.low:.2f} to "
        "{over C, H, W.high:.2f}), over C {over C.effect:.2f} times.",
        partly="It depends on the LayerNorm: on maps of 32 x 32 and more that over (C, H, W) "
        "takes {over C, H, W.effect:.2f} times as long as BatchNorm, that over C by permutation "
        "{over C.effect:.2f} times.",
        inconclusive="On maps of 32 x 32 and more LayerNorm over (C, H, W) takes "
        "{over C, H, W.effect:.2f} times as long as BatchNorm, over C by permutation "
        "{over C.effect:.2f} times: not both are decided.",
    ),
    caveats=(
        "All maps have the same number of values, and 64 channels (16 at 256 x 256 on a CPU).",
        "torch's LayerNorm over (C, H, W) has a weight for each element and fits one size of map "
        "only.",
    ),
    would_change="A LayerNorm over C of contiguous maps that reads them as they lie, in torch "
    "itself.",
    figure=Cells(x_label="side of a map"),
)
