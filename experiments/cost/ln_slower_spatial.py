"""LayerNorm is slower than BatchNorm on large spatial maps.

Said by: "Differences between Batch, Layer, Group and Instance Norm".
Primary source: none measures it: reports of users speak of nn.LayerNorm with small channel counts.
Measured: times on maps of 32 x 32 and more; baseline is torch's BatchNorm in training mode, forward
and backward. It depends on which LayerNorm is meant, so each variant is a part: over (C, H, W) with
torch's affine per element, over C by permuting there and back, over C by our channels-first kernel,
and GroupNorm with one group. At evaluation BatchNorm is a fixed scale and shift: two parts more.
The catalogue asks for a ratio of 1.2 in 75 % of the cells, refuted at 1.0 or below; here the share
is tested at 5 %.
Cost: normlab run ln-slower-spatial --profile cpu    2 minutes on one calm core, one trial at a time
"""

from math import inf
from typing import Any

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.figure import Cells
from normlab.claims.protocols.timing import cell_ratios
from normlab.claims.rules import MostCells
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


def part(name: str, *, evaluation: bool = False) -> Part:
    title = f"evaluation, {name}" if evaluation else name
    statement = f"LayerNorm {LAYERNORMS[name][2]} takes at least 1.2 times as long as BatchNorm"
    return Part(
        title,
        f"{statement} at evaluation" if evaluation else statement,
        cell_ratios(title, words="time of LayerNorm over that of BatchNorm"),
        # Slower at all in most cells is partly what is claimed.
        MostCells(1.2, inf, partly=(1.0, inf)),
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
    protocols={
        "smoke": Protocol(options={**QUICK, "grids": {"maps": maps((4,), 64, 4)}}, seeds=1),
        "cpu": Protocol(
            options={**CPU, "grids": {"maps": maps(SIDES, **ALL_MAPS)}}, seconds_per_trial=5.0
        ),
        "gpu": Protocol(
            options={**GPU, "grids": {"maps": maps(SIDES, 2**26, **ALL_MAPS)}},
            seconds_per_trial=20.0,
        ),
    },
    trial=trial,
    timed=True,
    parts=(
        *(part(name) for name in LAYERNORMS),
        *(part(name, evaluation=True) for name in AT_EVALUATION),
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
