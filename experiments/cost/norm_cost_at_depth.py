"""One reduction less per norm adds up to a large gain in a language model of 80 layers.

Said by: "Normalization Deep-Dive", of two norms in each layer.
Primary source: none measures it; Ivanov et al. 2021 find that norms take a large share of a
transformer's training time where nothing is fused.
Measured: times of one block of 12 C² weights, RMSNorm over LayerNorm. All blocks of a deep model
are alike, and each brings weights that no cache holds, so that the ratio of one is that of 80.
Prefill of one text, and decoding of one token for one text. What decides is the gain end to end
where torch.compile fuses both norms with the block, so that one reduction is all that differs;
torch's own layers and ours are scope, and so is the gain by the norms alone, which is what they
save as a share of the block's time and leaves the noise of the matrix products out.
Cost: normlab run norm-cost-at-depth --profile full    60 trials, 4 minutes of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.timing import ratio_of, timing_protocols
from normlab.claims.rules import Between
from normlab.measure.timing.trials import CPU, GAIN, GPU, LOG, QUICK, depth

PHASES = ("prefill", "decode")
WHOSE = ("torch.nn", "ours", "compiled")
# How it is read -> prefix and words of the names of cells.
READINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "end to end": (LOG, ("block",)),
    "by the norms alone": (GAIN, ()),
}
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


def part(implementation: str, phase: str, how: str = "end to end", title: str = "") -> Part:
    """A ratio of 0.95 is the 5 % that is asked for."""
    name, (prefix, kind) = f"{implementation}, {phase}", READINGS[how]
    words = f"time of a block with RMSNorm over that with LayerNorm, {how}"
    return Part(
        title or f"{name}, {how}",
        f"RMSNorm saves at least 5 % of the time of a block at {phase}, {how}, {implementation}",
        ratio_of(name, *kind, prefix=prefix, words=words),
        Between(0.0, 0.95),
        stands_for="80 layers of 8,192 channels",
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
    protocols=timing_protocols(
        {**QUICK, "grids": grids("float32", 2, (1,), (64,), (64,))},
        {**CPU, "grids": grids("float32", 64, (1,), (1024, 2048), (1024,))},
        {**GPU, "grids": grids("bfloat16", 2048, (1, 64), WIDE, WIDE)},
        4.0,
        gpu_seconds=60.0,
    ),
    trial=depth,
    timed=True,
    clauses=tuple(part("compiled", phase, title=phase) for phase in PHASES),
    scope=(
        *(
            part(implementation, phase)
            for implementation in ("torch.nn", "ours")
            for phase in PHASES
        ),
        *(
            part(implementation, phase, "by the norms alone")
            for implementation in WHOSE
            for phase in PHASES
        ),
    ),
    answers=Answers(
        supported="A block with RMSNorm takes {prefill.effect:.3f} times as long as with "
        "LayerNorm ({prefill.low:.3f} to {prefill.high:.3f}) at prefill and {decode.effect:.3f} "
        "times at decoding.",
        refuted="One reduction less does not add up: a block with RMSNorm takes "
        "{prefill.effect:.3f} times as long as with LayerNorm ({prefill.low:.3f} to "
        "{prefill.high:.3f}) at prefill and {decode.effect:.3f} times at decoding.",
        partly="It depends on the phase: a block with RMSNorm takes {prefill.effect:.3f} times as "
        "long as with LayerNorm at prefill and {decode.effect:.3f} times at decoding.",
        inconclusive="A block with RMSNorm takes {prefill.effect:.3f} times as long as with "
        "LayerNorm ({prefill.low:.3f} to {prefill.high:.3f}) at prefill and {decode.effect:.3f} "
        "times at decoding: not both are decided.",
    ),
    caveats=(
        "One block stands for 80: embedding, head and the launching of kernels between blocks are "
        "not in it.",
        "On a CPU 1,024 and 2,048 channels in float32; the claim means GPUs, 8,192 channels and "
        "bfloat16.",
        "compiled: norms as tensor operations, fused by torch.compile together with the block.",
    ),
    would_change="A model whose matrix products take so little time that its norms show.",
    metrics={
        "ratio of times": "time of a block with RMSNorm over that with LayerNorm",
        "ratio by the norms alone": "the same ratio, if the norms' own times alone differed",
    },
)
