"""DyT, a scaled tanh, does as well as LayerNorm.

Said by: "Transformers without Normalization" (Zhu et al. 2025).
Primary source: the same paper. A later study (2604.23434) qualifies it: DyT's validation loss is 27
% lower with a million tokens and 19 % higher with 118 million, so it regularises.
Measured: the loss of a GPT on characters: on all of the training text, and on 200,000 and 20,000
characters of it, which 2,000 steps read some 5 and 50 times. Each seed at its own rate; DyT's
initial alpha is 0.5, its paper's outside of language models. The embedding has unit size, as in
the paper, which multiplies it by sqrt(width) for language models; with GPT-2's 0.02, which ran
first, a tanh hands on next to nothing and DyT stayed a nat above LayerNorm.
Cost: normlab run dyt-matches-ln --profile full    90 trials to its first look, 27 minutes of one
core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import text_protocols
from normlab.claims.quantity import difference, interaction
from normlab.claims.rules import AtLeast, Within

SIZES = {"all": "null", "some": "200000", "few": "20000"}
GAIN_FEW = ("layernorm, few", "dyt, few")
GAIN_ALL = ("layernorm, all", "dyt, all")

CLAIM = Claim(
    slug="dyt-matches-ln",
    statement="DyT matches LayerNorm.",
    documents=("Transformers without Normalization (Zhu et al. 2025)",),
    source="Zhu et al. 2025: as good or better; 2604.23434: 27 % lower loss with 1M tokens, 19 % "
    "higher with 118M.",
    prediction="partly supported: better where data are few, worse where they are many",
    arms=tuple(
        Arm(f"{kind}, {size}", (f"norm={kind}", f"data.subset={subset}"))
        for kind in ("layernorm", "dyt")
        for size, subset in SIZES.items()
    ),
    protocols=text_protocols(
        "model.init=xavier",
        "model.depth=4",
        "data.batch_size=16",
        steps=500,
        full_steps=2000,
        seconds=4.5,
        # quick has 16, since a CPU pays for each sequence.
        gpu_overrides=("data.batch_size=64",),
    ),
    tuning_metric="val_loss",
    clauses=(
        Part(
            "matches",
            "on all of the text the test losses agree within 0.03 nats",
            difference(
                "dyt, all",
                "layernorm, all",
                "test_loss",
                words="test loss on all of the text, DyT - LayerNorm",
            ),
            Within(0.03),
            expected=0.1,
            noise=0.03,
        ),
    ),
    scope=(
        Part(
            "few data",
            "on 20,000 characters DyT's test loss is lower",
            difference(
                *GAIN_FEW, "test_loss", words="test loss on 20,000 characters, LayerNorm - DyT"
            ),
            AtLeast(0.05),
        ),
        Part(
            "some data",
            "on 200,000 characters DyT's test loss is lower",
            difference(
                "layernorm, some",
                "dyt, some",
                "test_loss",
                words="test loss on 200,000 characters, LayerNorm - DyT",
            ),
            AtLeast(0.05),
        ),
        Part(
            "sign",
            "DyT gains more on few data than on many",
            interaction(
                GAIN_FEW,
                GAIN_ALL,
                "test_loss",
                words="test loss, LayerNorm - DyT, on 20,000 characters less the same on all text",
            ),
            AtLeast(0.05),
        ),
    ),
    answers=Answers(
        supported="DyT matches LayerNorm: on all of the text its loss is {matches.effect:+.3f} "
        "nats ({matches.low:.3f} to {matches.high:.3f}) from it; on 20,000 characters it is lower "
        "by {few data.effect:+.3f}.",
        refuted="DyT does not match LayerNorm: on all of the text its loss is "
        "{matches.effect:+.3f} nats ({matches.low:.3f} to {matches.high:.3f}) from it; on 20,000 "
        "characters it is lower by {few data.effect:+.3f}.",
        inconclusive="On all of the text DyT's loss is {matches.effect:+.3f} nats "
        "({matches.low:.3f} to {matches.high:.3f}) from LayerNorm's: whether within 0.03 is open.",
    ),
    caveats=(
        "Tens of thousands of parameters, the paper's smallest model has millions; alpha is not "
        "tuned.",
    ),
    would_change="Another sign at another size of network and text.",
)
