"""One reduction less per norm adds up to a large gain in a language model of 80 layers with two norms each.

Said by: "Normalization Deep-Dive". No primary source measures it; Ivanov et al. 2021 find that norms take a large share
of a transformer's training time where nothing is fused. All blocks of a deep model are alike, and each brings weights
that no cache holds: so one block of 12 C² weights is timed, whose ratio RMSNorm / LayerNorm is that of 80. Prefill of
one text, and decoding of one token for one text. Two readings of the gain: end to end, and by the norms alone, which is
what they save as a share of the block's time and leaves the noise of the matrix products out.

    normlab run norm-cost-at-depth --profile cpu        2 minutes on one calm core, one trial at a time
"""

from normlab.claims.timing_rules import typical

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.measure.timing.trials import CPU, GAIN, GPU, LOG, QUICK, depth

PHASES = ("prefill", "decode")
WHOSE = ("torch.nn", "ours", "compiled")


def grids(dtype, tokens, batches, widths, few):
    """`few`: widths at which a block is compiled, too."""
    shapes = {"prefill": [(1, tokens)], "decode": [(batch, 1) for batch in batches]}
    return {
        f"{phase}{name}": {
            "dtype": dtype,
            "shapes": [[*shape, width] for shape in shapes[phase] for width in chosen],
        }
        for phase in PHASES
        for name, chosen in (("", widths), (", compiled", few))
    }


def arm(implementation, phase):
    grid = f"{phase}, compiled" if implementation == "compiled" else phase
    return Arm(
        f"{implementation}, {phase}", options={"implementation": implementation, "grid": grid}
    )


def parts(implementation, phase):
    name = f"{implementation}, {phase}"
    gain = "saves 3 % of the time of a block"
    rule = "ratio of times at most 0.97; partly at most 0.99; refuted above"
    readings = (("end to end", LOG, " block"), ("by the norms alone", GAIN, ""))
    for how, prefix, suffix in readings:
        decide = typical(name, 0.0, 0.97, (0.0, 0.99), prefix, suffix)
        yield Part(
            f"{name}, {how}", f"RMSNorm {gain} at {phase}, {how}, {implementation}", rule, decide
        )


CLAIM = Claim(
    slug="norm-cost-at-depth",
    statement="One reduction less per norm adds up to a large gain in a language model of 80 layers.",
    documents=("Normalization Deep-Dive",),
    source="None with numbers; norms are bound by memory (Ivanov et al. 2021), their share depends on what is fused.",
    prediction="refuted: below 1 % at prefill, 0 to 3 % at decoding on a GPU, and slower with torch.nn on a CPU",
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
            options={**GPU, "grids": grids("bfloat16", 2048, (1, 64), (4096, 8192), (4096, 8192))},
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
        "One block stands for 80: embedding, head and the launching of kernels between blocks are not in it.",
        "A CPU profile of 1,024 and 2,048 channels in float32; the claim means GPUs, 8,192 channels and bfloat16.",
        "compiled: norms as tensor operations, fused by torch.compile together with the block.",
    ),
    would_change="A model whose matrix products take so little time that its norms show.",
)
