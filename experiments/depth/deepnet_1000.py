"""With the right initialization Post-LN scales to 1000 layers: use it from 100 on.

Said by: "Normalization Deep-Dive".
Primary source: DeepNet (Wang et al. 2022, arXiv 2203.00555) trains 1000 layers, but DeepNorm
changes the residual connection, too: x is multiplied by alpha = (2 L)^(1/4) before the sum, and the
initial gain of the value, output and MLP weights is beta = (8 L)^(-1/4). The document leaves alpha
out.
Measured: 48 layers without warm-up; Post-LN, alpha alone, beta alone, both (DeepNorm), and Pre-LN,
each seed at its own rate, from 1e-4 up. A network trains if its test loss closes half of the gap
from the unigram entropy to Pre-LN's. DeepNet's beta multiplies Xavier's scale, so that one decides;
GPT-2's initial scale is beside it.
Cost: normlab run deepnet-1000 --profile full    320 trials to its first look, 4.3 hours of one core
"""

from math import exp

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.looks import Looks
from normlab.claims.protocols.text import INITS, LOW_RATES, closes_half, text_protocols
from normlab.claims.quantity import Quantity, perplexity_ratio
from normlab.claims.rules import Between, Rate

PLACEMENTS = ("pre", "post", "deepnorm", "deepnorm_alpha", "deepnorm_beta")


def name(placement: str, init: str) -> str:
    return f"{placement}, {init}"


def part(title: str, statement: str, placement: str, init: str) -> Part:
    arm, pre = name(placement, init), name("pre", init)
    return Part(
        title,
        statement,
        Quantity(
            f"networks of 48 layers (200 on a GPU) with {placement} that close half of the gap "
            f"from the unigram entropy to Pre-LN's mean loss, initial scale {init}",
            "of the networks",
            lambda evidence: closes_half(evidence, arm, pre),
            (arm, pre),
        ),
        Rate(0.5),
        stands_for="1,000 layers",
    )


CLAIM = Claim(
    slug="deepnet-1000",
    statement="The right initialization lets Post-LN scale to very deep stacks.",
    documents=("Normalization Deep-Dive",),
    source="Wang et al. 2022: 1000 layers with DeepNorm, which scales the residual besides the "
    "initialization.",
    prediction="partly supported: both halves together scale; the initialization alone does not",
    arms=tuple(
        Arm(
            name(placement, init),
            (f"model.placement={placement}", f"model.init={init}", "norm=layernorm"),
        )
        for init in INITS
        for placement in PLACEMENTS
    ),
    protocols=text_protocols(
        "model.depth=48",
        "data.batch_size=8",
        "optim.warmup=0",
        looks=Looks((8, 12, 20)),
        rates=LOW_RATES,
        seconds=12.0,
        gpu_overrides=(
            "model.depth=200",
            "model.width=64",
            "data.context=64",
            "data.batch_size=16",
        ),
    ),
    tuning_metric="val_loss",
    clauses=(
        part(
            "initialization alone",
            "with beta alone, the initialization, most networks train",
            "deepnorm_beta",
            "xavier",
        ),
    ),
    scope=(
        part(
            "initialization alone, gpt2",
            "with beta times GPT-2's scale most networks train",
            "deepnorm_beta",
            "gpt2",
        ),
        part(
            "alpha alone",
            "with alpha alone, the residual's scale, most networks train",
            "deepnorm_alpha",
            "xavier",
        ),
        part("DeepNorm", "with both most networks train", "deepnorm", "xavier"),
        part("Post-LN", "with neither most networks train", "post", "xavier"),
        Part(
            "DeepNorm's loss",
            "with both the loss is at most 0.1 nats above Pre-LN's",
            perplexity_ratio(
                name("deepnorm", "xavier"),
                name("pre", "xavier"),
                words="perplexity of DeepNorm over Pre-LN",
            ),
            # A ratio of perplexities is a difference of losses: 0.1 nats.
            Between(0, exp(0.1)),
            stands_for="1,000 layers",
        ),
    ),
    answers=Answers(
        supported="The initialization alone lets {initialization alone.effect:.0%} of Post-LN "
        "networks of 48 layers (200 on a GPU) train ({initialization alone.low:.0%} to "
        "{initialization alone.high:.0%}); with the residual's scale it is {DeepNorm.effect:.0%}, "
        "with neither {Post-LN.effect:.0%}.",
        refuted="The initialization alone is not enough: {initialization alone.effect:.0%} of "
        "Post-LN networks of 48 layers (200 on a GPU) train with it "
        "({initialization alone.low:.0%} to {initialization alone.high:.0%}), "
        "{DeepNorm.effect:.0%} with the residual's scale as well.",
        inconclusive="The initialization alone lets {initialization alone.effect:.0%} of Post-LN "
        "networks of 48 layers (200 on a GPU) train ({initialization alone.low:.0%} to "
        "{initialization alone.high:.0%}): whether most is open.",
    ),
    caveats=(
        "48 layers on a CPU, 200 on a GPU, and not 1,000; steps of 8 x 32 characters.",
        "The documents leave out alpha, the scale of the residual, which DeepNet has as well.",
    ),
    would_change="Beta alone training where both halves do.",
)
