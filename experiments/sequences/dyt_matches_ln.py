"""DyT, a scaled tanh, does as well as LayerNorm.

Said by: Zhu et al. 2025 (Transformers without Normalization). A later study (2604.23434) qualifies it: DyT's
validation loss is 27 % lower with a million tokens and 19 % higher with 118 million, so it regularises.
A GPT on characters: on all of the training text, and on 20,000 characters of it, which 500 steps read some 13 times.
Each arm at its own learning rate; DyT's initial alpha is 0.5, as in its paper. Version 2: the embedding has unit size,
as in the paper, which multiplies it by sqrt(width) for language models; with GPT-2's 0.02, which ran first, a tanh
hands on next to nothing and DyT stayed a nat above LayerNorm.

    normlab run dyt-matches-ln --profile cpu        3 minutes on 2 cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.text import text_protocols
from normlab.claims.rules import equivalent_within, greater_by, interaction

SIZES = {"all": "null", "few": "20000"}


def loss(evidence, kind, size):
    return evidence.values(f"{kind}, {size}", "test_loss")


CLAIM = Claim(
    slug="dyt-matches-ln",
    version=2,
    statement="DyT matches LayerNorm; what it gains, it gains on little data.",
    documents=("Transformers without Normalization (Zhu et al. 2025)",),
    source="Zhu et al. 2025: as good or better; 2604.23434: 27 % lower loss with 1M tokens, 19 % higher with 118M.",
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
        seconds=4.5,
        gpu_overrides=("data.batch_size=64",),
    ),
    tuning_metric="val_loss",
    parts=(
        Part(
            "matches",
            "on all of the text the test losses agree within 0.03 nats",
            "loss(dyt) - loss(layernorm) within 0.03 nats either way (TOST)",
            lambda evidence: equivalent_within(
                loss(evidence, "dyt", "all") - loss(evidence, "layernorm", "all"), 0.03, "nats"
            ),
        ),
        Part(
            "few data",
            "on 20,000 characters DyT's test loss is lower",
            "loss(layernorm) - loss(dyt): supported from 0.05 nats, refuted below 0.025",
            lambda evidence: greater_by(
                loss(evidence, "layernorm", "few") - loss(evidence, "dyt", "few"), 0.05, "nats"
            ),
        ),
        Part(
            "sign",
            "DyT gains more on few data than on many",
            "difference of the two gains: supported from 0.05 nats, refuted below 0.025",
            lambda evidence: interaction(
                loss(evidence, "layernorm", "few"),
                loss(evidence, "dyt", "few"),
                loss(evidence, "layernorm", "all"),
                loss(evidence, "dyt", "all"),
                0.05,
                "nats",
            ),
        ),
    ),
    caveats=(
        "Tens of thousands of parameters, the paper's smallest model has millions; alpha is not tuned.",
        "The sign hangs on the budget: records of 800 steps of 32 sequences (results/earlier) refuted it.",
    ),
    would_change="Another sign at another size of network and text.",
)
