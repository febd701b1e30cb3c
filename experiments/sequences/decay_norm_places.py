"""Weight decay on gains helps norms that stand before weight matrices, and hurts norms behind them.

Said by: "On Scale Vectors in Large Language Models" (Wang et al. 2026).
Primary source: the same paper (arXiv 2605.26895, abstract): decay of scale vectors is beneficial
for input norms and harmful for output norms, in theory and in models of 0.12 to 2 billion
parameters.
Measured: test loss of a causal transformer of 6 layers with RMSNorm before and behind each branch
(`placement=sandwich`), so that one network has both sorts. AdamW with a decay of 0.1 on the
matrices throughout; on no gains, on those of input norms, of output norms. Each at a rate that the
seed chooses.
Cost: normlab run decay-norm-places --profile full    45 trials to its first look, 18 minutes of one
core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast

PLACES = ("none", "input", "output")


def arm(place: str) -> Arm:
    """Decay on the gains of the norms at `place`."""
    return Arm(place, ("norm=rmsnorm", f"optim.decay_norm={place}"), at={"decay": place})


CLAIM = Claim(
    slug="decay-norm-places",
    statement="Weight decay on the gains of norms before weight matrices lowers the loss, and on "
    "those of norms behind them raises it.",
    documents=("On Scale Vectors in Large Language Models (Wang et al. 2026)",),
    source="Wang et al. 2026: in theory and in pre-training of dense and mixture-of-experts "
    "models; a gain before a matrix adds nothing that the matrix could not express.",
    prediction="inconclusive or refuted: in 1,200 steps a decay of 0.1 shrinks a gain by a fifth, "
    "and both effects may be smaller than 0.01 nats",
    arms=tuple(map(arm, PLACES)),
    protocols=text_protocols(
        "model.depth=6",
        "model.placement=sandwich",
        "optim.weight_decay=0.1",
        "optim.warmup=0.1",
        seconds=6.0,
        gpu_overrides=GPU_BATCH,
    ),
    tuning_metric="val_loss",
    clauses=(
        Part(
            "input",
            "decay on the gains before weight matrices lowers the loss by 0.01 nats",
            difference(
                "none", "input", "test_loss", words="test loss, decay on no gains - on input norms"
            ),
            AtLeast(0.01),
            expected=0.0,
            noise=0.015,
        ),
        Part(
            "output",
            "decay on the gains behind them raises it by 0.01 nats",
            difference(
                "output",
                "none",
                "test_loss",
                words="test loss, decay on output norms - on no gains",
            ),
            AtLeast(0.01),
            expected=0.0,
            noise=0.015,
        ),
    ),
    scope=(
        Part(
            "apart",
            "the two differ by 0.01 nats in that direction",
            difference(
                "output", "input", "test_loss", words="test loss, decay on output - on input norms"
            ),
            AtLeast(0.01),
        ),
    ),
    answers=Answers(
        supported="Decay on the gains before weight matrices lowers the loss by "
        "{input.effect:.3f} nats ({input.low:.3f} to {input.high:.3f}), on those behind them it "
        "raises it by {output.effect:.3f} ({output.low:.3f} to {output.high:.3f}).",
        refuted="Not both by 0.01 nats: decay on the gains before weight matrices changes the loss "
        "by {input.effect:+.3f} nats in the claimed direction ({input.low:+.3f} to "
        "{input.high:+.3f}), on those behind them by {output.effect:+.3f} ({output.low:+.3f} to "
        "{output.high:+.3f}).",
        partly="One of both: in the claimed direction decay on the gains before weight matrices "
        "changes the loss by {input.effect:+.3f} nats ({input.low:+.3f} to {input.high:+.3f}), on "
        "those behind them by {output.effect:+.3f} ({output.low:+.3f} to {output.high:+.3f}).",
        inconclusive="In the claimed direction decay on the gains before weight matrices changes "
        "the loss by {input.effect:+.3f} nats ({input.low:+.3f} to {input.high:+.3f}), on those "
        "behind them by {output.effect:+.3f} ({output.low:+.3f} to {output.high:+.3f}): whether "
        "both by 0.01 is open.",
    ),
    caveats=(
        "Six layers 32 wide for 1,200 steps; the paper's smallest model has 0.12 billion "
        "parameters.",
        "With norms on both sides of a branch, which is one of several places of output norms.",
        "0.01 nats: a percent of perplexity, below which nobody would change a setting here.",
    ),
    would_change="A difference at a larger model or after more steps.",
)
