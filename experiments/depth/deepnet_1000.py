"""With the right initialization Post-LN scales to 1000 layers: use it from 100 on.

Said by: "Normalization Deep-Dive".
Primary source: DeepNet (Wang et al. 2022) trains 1000 layers, but DeepNorm changes the residual
connection, too: x is multiplied by alpha = (2 L)^(1/4) before the sum, and the initial gain of the
value, output and MLP weights is beta = (8 L)^(-1/4). The document leaves alpha out.
Measured: the loss of 48 layers, no warm-up; Post-LN, alpha alone, beta alone, both (DeepNorm), and
Pre-LN, each at its own learning rate. 200 steps and 3 seeds, which ran first, were too few to
decide: DeepNorm was on its way in two of them.
Cost: normlab run deepnet-1000 --profile cpu    6 minutes on 2 cores
"""

from math import exp

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.text import text_protocols
from normlab.claims.quantity import Quantity, perplexity_ratio
from normlab.claims.rules import AtLeast, Between

PLACEMENTS = ("pre", "post", "deepnorm", "deepnorm_alpha", "deepnorm_beta")


def closed(evidence: Evidence) -> Values:
    """(n,) of the gap between unigram entropy and Pre-LN: the share that beta alone closes."""
    trivial = evidence.values("pre", "trivial_loss")
    gap = trivial - evidence.values("pre", "test_loss")
    return (trivial - evidence.values("deepnorm_beta", "test_loss")) / gap


CLAIM = Claim(
    slug="deepnet-1000",
    statement="The right initialization lets Post-LN scale to very deep stacks.",
    documents=("Normalization Deep-Dive",),
    source="Wang et al. 2022: 1000 layers with DeepNorm, which scales the residual besides the "
    "initialization.",
    prediction="partly supported: both halves together scale; the initialization alone does not",
    arms=tuple(
        Arm(placement, (f"model.placement={placement}", "norm=layernorm"))
        for placement in PLACEMENTS
    ),
    protocols=text_protocols(
        "model.init=xavier",
        "model.depth=48",
        "data.batch_size=8",
        "optim.warmup=0",
        steps=300,
        # Where each half alone has trained, if at all (records of 400 steps).
        rates=(0.00033, 0.001, 0.003),
        seeds=5,
        seconds=12.0,
        gpu_overrides=(
            "model.depth=200",
            "model.width=64",
            "data.context=64",
            "data.batch_size=16",
        ),
    ),
    tuning_metric="val_loss",
    parts=(
        Part(
            "DeepNorm",
            "without warm-up its loss is at most 0.1 nats above Pre-LN's",
            perplexity_ratio("deepnorm", "pre", words="perplexity of DeepNorm over Pre-LN"),
            # A ratio of perplexities is a difference of losses: 0.1 nats.
            Between(0, exp(0.1)),
        ),
        Part(
            "initialization alone",
            "with beta alone Post-LN closes half of the gap between the unigram entropy and Pre-LN",
            Quantity(
                "share of the gap from the unigram entropy to Pre-LN's loss that beta alone closes",
                "of the gap",
                closed,
            ),
            AtLeast(0.5),
        ),
    ),
    caveats=(
        "48 layers on a CPU, 200 on a GPU, and not 1000; 300 steps of 8 x 32 characters.",
        "Alpha alone and plain Post-LN are shown and decide no part.",
        "Records of 400 steps (results/earlier): DeepNorm was above the bound, and beta alone "
        "closed half of the gap.",
    ),
    would_change="Beta alone training where both halves do.",
)
