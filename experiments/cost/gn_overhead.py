"""GroupNorm is slightly costlier than BatchNorm.

Said by: "How BN, IN and LN differ".
Primary source: Detectron's baselines for Wu & He 2018, where a step with R-50-FPN takes 13 % longer
with GN (1.017 against 0.897 s); its BN is frozen, a fixed scale and shift.
Measured: times of one layer of 8 groups, forward and backward, and of a training step of a
ResNet-8, with torch's layers and with ours. Since the source's BN is frozen, training BN is the
baseline here, and BN at evaluation is shown beside it. "Slightly costlier" is 1.02 to 1.5 times the
time. A training step with torch's layers decides, by memory format, since kernels differ by it.
Cost: normlab run gn-overhead --profile full    50 trials, 3 minutes of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.figure import Cells
from normlab.claims.protocols.timing import ratio_of, timing_protocols
from normlab.claims.rules import Between
from normlab.measure.timing.trials import ALL_MAPS, CPU, GPU, QUICK, maps, trial

FORMATS = ("channels_first", "channels_last")


def grids(
    values: int, batch: int, width: int, sides: tuple[int, ...] = (8, 32, 128)
) -> dict[str, Any]:
    size = {"batch": batch, "width": width, "size": 32}
    # Kernels differ by memory format.
    steps = [{"memory_format": memory_format, **size} for memory_format in FORMATS]
    return {"maps": maps(sides, values, **ALL_MAPS), "model": {"steps": steps}}


TINY = {
    "maps": maps((4,), 256, 16, formats=list(FORMATS)),
    "model": {
        "steps": [{"memory_format": one, "batch": 2, "width": 8, "size": 8} for one in FORMATS]
    },
}


def arm(name: str, implementation: str, **more: Any) -> Arm:
    sides = {"subject": ("groupnorm", implementation), "baseline": ("batchnorm", implementation)}
    return Arm(name, options={**sides, **more})


WORDS = {"channels_first": "channels first", "channels_last": "channels last"}


def part(arm: str, memory_format: str, title: str = "") -> Part:
    return Part(
        title or f"{arm}, {WORDS[memory_format]}",
        f"with GroupNorm it takes 1.02 to 1.5 times as long as with BatchNorm: {arm}, "
        f"{WORDS[memory_format]}",
        ratio_of(arm, memory_format, words="time of GroupNorm over that of BatchNorm"),
        Between(1.02, 1.5),
    )


CLAIM = Claim(
    slug="gn-overhead",
    statement="GroupNorm is slightly costlier than BatchNorm.",
    documents=("How BN, IN and LN differ",),
    source="Detectron, GN baselines (Wu & He 2018): a step of R-50-FPN takes 13 % longer, against "
    "frozen BN.",
    prediction="refuted on a CPU, where training BN takes two to three times as long; supported on "
    "a GPU",
    arms=(
        arm("layer, torch.nn", "torch.nn", grid="maps"),
        arm("layer, ours", "ours", grid="maps"),
        arm("ResNet step, torch.nn", "torch.nn", grid="model", model="resnet"),
        arm("ResNet step, ours", "ours", grid="model", model="resnet"),
        arm("evaluation", "torch.nn", grid="maps", modes=("evaluation",)),
    ),
    protocols=timing_protocols(
        {**QUICK, "grids": TINY},
        {**CPU, "grids": grids(2**20, 16, 16)},
        {**GPU, "grids": grids(2**26, 256, 64, (8, 32, 128, 256))},
        3.5,
        gpu_seconds=15.0,
    ),
    trial=trial,
    timed=True,
    clauses=tuple(part("ResNet step, torch.nn", form, WORDS[form]) for form in FORMATS),
    scope=tuple(
        part(arm, form)
        for arm in ("layer, torch.nn", "layer, ours", "ResNet step, ours", "evaluation")
        for form in FORMATS
    ),
    answers=Answers(
        supported="A training step with GroupNorm takes {channels first.effect:.2f} times as long "
        "as with BatchNorm ({channels first.low:.2f} to {channels first.high:.2f}) in channels "
        "first and {channels last.effect:.2f} times in channels last.",
        refuted="A training step with GroupNorm is not slightly slower: it takes "
        "{channels first.effect:.2f} times as long as with BatchNorm ({channels first.low:.2f} to "
        "{channels first.high:.2f}) in channels first and {channels last.effect:.2f} times "
        "({channels last.low:.2f} to {channels last.high:.2f}) in channels last.",
        partly="It depends on the memory format: a training step with GroupNorm takes "
        "{channels first.effect:.2f} times as long as with BatchNorm ({channels first.low:.2f} to "
        "{channels first.high:.2f}) in channels first and {channels last.effect:.2f} times "
        "({channels last.low:.2f} to {channels last.high:.2f}) in channels last.",
        inconclusive="A training step with GroupNorm takes {channels first.effect:.2f} times as "
        "long as with BatchNorm in channels first and {channels last.effect:.2f} times in "
        "channels last: not both are decided.",
    ),
    caveats=(
        "Against BN at evaluation or frozen, as in the source, GN costs more: the parts "
        "`evaluation`.",
        "8 groups of 8 channels; memory for GN's statistics grows with the batch, and is not what "
        "a time shows.",
    ),
    would_change="A CPU kernel of BatchNorm in training that is as fast as GroupNorm's.",
    figure=Cells(x_label="side of a map"),
    metrics={
        "ratio of times": "time of GroupNorm over that of BatchNorm",
    },
)
