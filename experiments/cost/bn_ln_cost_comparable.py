"""BatchNorm and LayerNorm cost about the same, and BatchNorm is sometimes better optimised.

Said by: "How BN, IN and LN differ".
Primary source: none.
Measured: times of forward and backward in training mode on maps of 8 x 8 to 256 x 256, LayerNorm
over BatchNorm, by the variants of ln-slower-spatial; "about the same" is a ratio between 0.67 and
1.5 (the catalogue). The LayerNorm that users write for maps is torch's over (C, H, W) in float32:
it decides, by memory format and by size, since small and large maps differ in kind; the others
are scope. Beside them, read by no part: each norm of ours
in copies of its input, which is the least that any norm can cost.
Cost: normlab run bn-ln-cost-comparable --profile full    120 trials, 5 minutes of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.figure import Cells
from normlab.claims.protocols.timing import ratio_of, timing_protocols
from normlab.claims.rules import Between
from normlab.measure.timing.trials import ALL_MAPS, CPU, GPU, LAYERNORMS, QUICK, maps, trial

SMALL, LARGE = (8, 32), (128, 256)
SIDES = SMALL + LARGE
FORMATS = ("channels_first", "channels_last")
KINDS = (
    "batchnorm",
    "layernorm",
    "channel_layernorm",
    "groupnorm",
    "instancenorm",
    "rmsnorm",
    "frn",
    "dyt",
)


def arm(name: str) -> Arm:
    kind, implementation, _ = LAYERNORMS[name]
    # Against torch's BatchNorm, whichever LayerNorm it is.
    sides = {"subject": (kind, implementation), "baseline": ("batchnorm", "torch.nn")}
    return Arm(name, options={**sides, "grid": "maps"})


def against_copy(kind: str) -> Arm:
    sides = {"subject": (kind, "ours"), "baseline": ("copy", "")}
    return Arm(f"copies, {kind}", options={**sides, "grid": "copies"}, at={"norm": kind})


def grids(values: int) -> dict[str, Any]:
    """Maps of so many values each; copies are read in one memory format and dtype."""
    return {"maps": maps(SIDES, values, **ALL_MAPS), "copies": maps(SIDES, values)}


TINY_SIDE = 4  # of smoke
TINY = {
    "maps": maps((TINY_SIDE,), 128, 8, formats=list(FORMATS)),
    "copies": maps((TINY_SIDE,), 128, 8),
}


def part(
    name: str, dtype: str, memory_format: str, title: str = "", sides: tuple[int, ...] = SIDES
) -> Part:
    """Of the maps of so many pixels a side, all of them or those of one kind."""
    of = "" if sides == SIDES else f", maps of {sides[0]} x {sides[0]} and {sides[1]} x {sides[1]}"
    words = f"time of LayerNorm over that of BatchNorm{of}"
    return Part(
        title or f"{name}, {dtype}, {memory_format}",
        f"LayerNorm {LAYERNORMS[name][2]} takes about as long as BatchNorm, {dtype}, "
        f"{memory_format}{of}",
        ratio_of(name, dtype, memory_format, sides=(TINY_SIDE, *sides), words=words),
        # As far up as down on the scale of ratios.
        Between(0.67, 1.5),
    )


COPIES = tuple(against_copy(kind) for kind in KINDS)

CLAIM = Claim(
    slug="bn-ln-cost-comparable",
    statement="BatchNorm and LayerNorm cost about the same, and BatchNorm is sometimes better "
    "optimised.",
    documents=("How BN, IN and LN differ",),
    source="None with numbers; both read the input twice and write it once where nothing is fused.",
    prediction="partly supported: over (C, H, W) on a CPU; refuted by permutation, and "
    "GroupNorm(1) is faster",
    arms=(*(arm(name) for name in LAYERNORMS), *COPIES),
    protocols=timing_protocols(
        {**QUICK, "grids": TINY},
        {**CPU, "grids": grids(2**20)},
        {**GPU, "grids": grids(2**26)},
        2.5,
        gpu_seconds=10.0,
    ),
    trial=trial,
    timed=True,
    clauses=tuple(
        part("over C, H, W", "float32", form, f"{size}, {form.replace('_', ' ')}", sides)
        for form in FORMATS
        for size, sides in (("small", SMALL), ("large", LARGE))
    ),
    scope=(
        *(
            part(name, "float32", form)
            for name in LAYERNORMS
            if name != "over C, H, W"
            for form in FORMATS
        ),
        *(part(name, "bfloat16", form) for name in LAYERNORMS for form in FORMATS),
    ),
    answers=Answers(
        supported="torch's LayerNorm over (C, H, W) takes about as long as BatchNorm: in channels "
        "first {small, channels first.effect:.2f} times ({small, channels first.low:.2f} to "
        "{small, channels first.high:.2f}) on maps up to 32 x 32 and "
        "{large, channels first.effect:.2f} times on larger ones, in channels last "
        "{small, channels last.effect:.2f} and {large, channels last.effect:.2f} times.",
        refuted="They do not cost the same: torch's LayerNorm over (C, H, W) takes "
        "{small, channels first.effect:.2f} times as long as BatchNorm "
        "({small, channels first.low:.2f} to {small, channels first.high:.2f}) on maps up to "
        "32 x 32 and {large, channels first.effect:.2f} times on larger ones, in channels last "
        "{small, channels last.effect:.2f} and {large, channels last.effect:.2f} times.",
        partly="It depends on size and memory format: torch's LayerNorm over (C, H, W) takes "
        "{small, channels first.effect:.2f} times as long as BatchNorm on maps up to 32 x 32 and "
        "{large, channels first.effect:.2f} times on larger ones, in channels last "
        "{small, channels last.effect:.2f} and {large, channels last.effect:.2f} times.",
        inconclusive="torch's LayerNorm over (C, H, W) takes {small, channels first.effect:.2f} "
        "times as long as BatchNorm on maps up to 32 x 32 and "
        "{large, channels first.effect:.2f} times on larger ones, in channels last "
        "{small, channels last.effect:.2f} and {large, channels last.effect:.2f} times: not all "
        "are decided.",
    ),
    caveats=(
        "Each ratio is a mean over sizes of maps, whose range stands beside it.",
        "All maps have the same number of values, and 64 channels (16 at 256 x 256 on a CPU).",
        "At evaluation BatchNorm needs no statistics and costs far less: see ln-slower-spatial.",
    ),
    would_change="Another release of torch, or a device on which the kernels are tuned otherwise.",
    figure=Cells(
        x_label="side of a map",
        y_label="time in copies of the input, forward and backward",
        arms=tuple(one.name for one in COPIES),
    ),
    metrics={
        "ratio of times": "time of LayerNorm over that of BatchNorm",
    },
)
