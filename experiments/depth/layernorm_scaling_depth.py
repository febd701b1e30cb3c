"""Scaling LayerNorm's output by one over the square root of the layer makes deep Pre-LN better.

Said by: "The Curse of Depth" (Sun et al. 2025).
Primary source: the same paper, for 130 million to 7 billion parameters; a footnote there says that
the gain shrinks with an initialization that is scaled by depth.
Measured: the loss of 12 layers with Xavier's initial scale, and with GPT-2's, whose projections
into the stream are scaled already; each arm at its own learning rate.
Cost: normlab run layernorm-scaling-depth --profile full    60 trials to its first look, 20 minutes
of one core; 20 of them are other claims', too
"""

from normlab.claims.answers import Answers
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
        init,
        f"scaling lowers the loss of {depth} layers with the initial scale of {init}",
        difference(name, f"{name}, scaled", "test_loss", words="test loss, plain - scaled"),
        AtLeast(0.02),
        # The paper's 5 % of perplexity; noise as with 300 steps.
        expected=0.05,
        noise=0.04,
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
    clauses=tuple(part(depth, init) for depth, init in CELLS),
    answers=Answers(
        supported="Scaling by 1 / sqrt(layer) lowers the loss of 12 Pre-LN layers by "
        "{xavier.effect:.3f} nats ({xavier.low:.3f} to {xavier.high:.3f}) with Xavier's initial "
        "scale and by {gpt2.effect:.3f} with GPT-2's.",
        refuted="Scaling by 1 / sqrt(layer) does not lower the loss of 12 Pre-LN layers by 0.02 "
        "nats: {xavier.effect:+.3f} ({xavier.low:.3f} to {xavier.high:.3f}) with Xavier's initial "
        "scale, {gpt2.effect:+.3f} with GPT-2's.",
        partly="It depends on the initial scale: scaling by 1 / sqrt(layer) lowers the loss of 12 "
        "Pre-LN layers by {xavier.effect:.3f} nats with Xavier's and by {gpt2.effect:.3f} with "
        "GPT-2's.",
        inconclusive="Scaling lowers the loss of 12 Pre-LN layers by {xavier.effect:.3f} nats "
        "({xavier.low:.3f} to {xavier.high:.3f}) with Xavier's initial scale, by "
        "{gpt2.effect:.3f} ({gpt2.low:.3f} to {gpt2.high:.3f}) with GPT-2's: whether both by 0.02 "
        "is open.",
    ),
    caveats=(
        "1,200 steps of a network 32 wide, three orders of magnitude below the smallest of the "
        "paper.",
    ),
    would_change="A gain at a larger width or after more steps.",
)
