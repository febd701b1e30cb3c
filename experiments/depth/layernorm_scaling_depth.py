"""Scaling LayerNorm's output by one over the square root of the layer makes deep Pre-LN better.

Said by: "The Curse of Depth" (Sun et al. 2025).
Primary source: the same paper, for 130 million to 7 billion parameters; a footnote there says that
the gain shrinks with an initialization that is scaled by depth.
Measured: the loss of 12 layers with Xavier's initial scale, and with GPT-2's, whose projections
into the stream are scaled already; each arm at its own learning rate.
Cost: normlab run layernorm-scaling-depth --profile cpu    2 minutes on 2 cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast

CELLS = ((12, "xavier"), (12, "gpt2"))


def arm(depth: int, init: str, *, scaled: bool) -> Arm:
    overrides = (
        "norm=layernorm",
        f"model.init={init}",
        f"model.depth={depth}",
        # Hydra's words for a bool are in small letters.
        f"model.layer_scaling={str(scaled).lower()}",
    )
    return Arm(f"{init} {depth}" + ", scaled" * scaled, overrides)


def part(depth: int, init: str) -> Part:
    name = f"{init} {depth}"
    return Part(
        f"{depth} layers, {init}",
        f"scaling lowers the loss of {depth} layers with the initial scale of {init}",
        difference(name, f"{name}, scaled", "test_loss", words="test loss, plain - scaled"),
        AtLeast(0.02),
    )


CLAIM = Claim(
    slug="layernorm-scaling-depth",
    statement="Multiplying LayerNorm's output by 1 / sqrt(layer) lowers the loss of deep Pre-LN "
    "transformers.",
    documents=("The Curse of Depth (Sun et al. 2025)",),
    source="Sun et al. 2025: lower perplexity from 130M to 7B parameters; less so with a scaled "
    "initialization.",
    prediction="partly supported: with Xavier's scale, less or nothing with GPT-2's",
    arms=tuple(
        arm(depth, init, scaled=scaled) for depth, init in CELLS for scaled in (False, True)
    ),
    protocols=text_protocols(
        "data.batch_size=8", "optim.warmup=0.25", seconds=5.0, gpu_overrides=GPU_BATCH
    ),
    tuning_metric="val_loss",
    parts=tuple(part(depth, init) for depth, init in CELLS),
    caveats=(
        "300 steps of a network 32 wide, three orders of magnitude below the smallest of the "
        "paper.",
        "The gain hangs on the budget: 400 steps of 16 sequences (results/earlier) supported it "
        "with Xavier's scale.",
    ),
    would_change="A gain at a larger width or after more steps.",
)
