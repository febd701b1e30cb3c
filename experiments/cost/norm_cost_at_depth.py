"""One reduction less per norm adds up to a large gain in a language model of 80 layers.

Said by: "Normalization Deep-Dive", of two norms in each layer.
Primary source: none measures it; Ivanov et al. 2021 find that norms take a large share of a
transformer's training time where nothing is fused.
Measured: times of one block of 12 C² weights, RMSNorm over LayerNorm. All blocks of a deep model
are alike, and each brings weights that no cache holds, so that the ratio of one is that of 80.
Prefill of one text, and decoding of one token for one text. Two readings of the gain: end to end,
and by the norms alone, which is what they save as a share of the block's time and leaves the noise
of the matrix products out.
Cost: normlab run norm-cost-at-depth --profile cpu    2 minutes on one calm core, one trial at a
time
"""

from collections.abc import Iterator
from typing import Any

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.protocols.timing import typical_ratio
from normlab.claims.rules import Between
from normlab.measure.timing.trials import CPU, GAIN, GPU, LOG, QUICK, depth

PHASES = ("prefill", "decode")
WHOSE = ("torch.nn", "ours", "compiled")
BLOCK = " block"  # ends the names of cells that are a whole block
READINGS = (("end to end", LOG, BLOCK), ("by the norms alone", GAIN, ""))
WIDE = (4096, 8192)  # on a GPU


def grids(
    dtype: str,
    tokens: int,
    batches: tuple[int, ...],
    widths: tuple[int, ...],
    few: tuple[int, ...],
) -> dict[str, Any]:
    """Shapes by phase; `few`: widths at which a block is compiled, too."""
    shapes = {"prefill": [(1, tokens)], "decode": [(batch, 1) for batch in batches]}
    by_phase: dict[str, Any] = {}
    for phase in PHASES:
        # Compiling a block takes long, so that it is done at few widths.
        for name, chosen in ((phase, widths), (f"{phase}, compiled", few)):
            grid = [[*shape, width] for shape in shapes[phase] for width in chosen]
            by_phase[name] = {"dtype": dtype, "shapes": grid}
    return by_phase


def arm(implementation: str, phase: str) -> Arm:
    grid = f"{phase}, compiled" if implementation == "compiled" else phase
    options = {"implementation": implementation, "grid": grid}
    return Arm(f"{implementation}, {phase}", options=options)


def parts(implementation: str, phase: str) -> Iterator[Part]:
    """Both readings of the gain."""
    name = f"{implementation}, {phase}"
    gain = f"RMSNorm saves 3 % of the time of a block at {phase}"
    for how, prefix, suffix in READINGS:
        words = f"time of a block with RMSNorm over that with LayerNorm, {how}"
        yield Part(
            f"{name}, {how}",
            f"{gain}, {how}, {implementation}",
            typical_ratio(name, prefix, suffix, words=words),
            # A ratio of 0.97 is the 3 % that a part asks for.
            Between(0.0, 0.97, partly=(0.0, 0.99)),
        )


CLAIM = Claim(
    slug="norm-cost-at-depth",
    statement="One reduction less per norm adds up to a large gain in a language model of 80 "
    "layers.",
    documents=("Normalization Deep-Dive",),
    source="None with numbers; norms are bound by memory (Ivanov et al. 2021), their share depends "
    "on what is fused.",
    prediction="refuted: below 1 % at prefill, 0 to 3 % at decoding on a GPU, and slower with "
    "torch.nn on a CPU",
    arms=tuple(arm(implementation, phase) for implementation in WHOSE for phase in PHASES),
    protocols={
        "smoke": Protocol(
            options={**QUICK, "grids": grids("float32", 2, (1,), (64,), (64,))}, seeds=1
        ),
        "cpu": Protocol(
            options={**CPU, "grids": grids("float32", 64, (1,), (1024, 2048), (1024,))},
            seconds_per_trial=4.0,
        ),
        "gpu": Protocol(
            options={**GPU, "grids": grids("bfloat16", 2048, (1, 64), WIDE, WIDE)},
            seconds_per_trial=60.0,
        ),
    },
    trial=depth,
    timed=True,
    parts=tuple(
        part
        for implementation in WHOSE
        for phase in PHASES
        for part in parts(implementation, phase)
    ),
    caveats=(
        "One block stands for 80: embedding, head and the launching of kernels between blocks are "
        "not in it.",
        "A CPU profile of 1,024 and 2,048 channels in float32; the claim means GPUs, 8,192 "
        "channels and bfloat16.",
        "compiled: norms as tensor operations, fused by torch.compile together with the block.",
    ),
    would_change="A model whose matrix products take so little time that its norms show.",
)
