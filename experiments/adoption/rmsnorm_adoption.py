"""GPT, LLaMA and PaLM use RMSNorm.

Said by: "Normalization Deep-Dive".
Primary source: code where there is code, what is written where there is none.
- GPT-2 and LLaMA, and gpt-oss, the only GPT since GPT-2 with open weights: the reference
  implementations in the `transformers` library, built tiny and without weights. openai/gpt-2,
  src/model.py (read there), subtracts the mean and adds a bias, as well. LLaMA's paper names
  RMSNorm (read in excerpts). Nothing was looked up for the closed GPTs.
- PaLM: no code was published. Two summaries of the paper (Chowdhery et al. 2022, section 2) give
  its formula as y = x + MLP(LayerNorm(x)) + Attention(LayerNorm(x)), and that layer norms have no
  biases. A port to torch (lucidrains/PaLM-pytorch, read there) takes a centred LayerNorm without
  bias. But in Google's T5X, which the catalogue has as PaLM's code base, the examples' layer called
  LayerNorm has no mean and no bias (read in copies of it): the name may hide an RMSNorm.
Measured: whether norms centre or shift. GPT is GPT-2, the last with code of its own before gpt-oss,
which is scope. RMSNorm is what ignores the scale of its input but not a constant that is added to
it, and gives 0 for 0. Of PaLM papers and code disagree, so that its clause is stated and stays
inconclusive.
Cost: normlab run rmsnorm-adoption --profile full    4 trials, a second of one core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import percent
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, reached
from normlab.claims.rules import Listed, Stated
from normlab.records.measurement import Measurement
from normlab.records.verdict import INCONCLUSIVE

# 1 for yes, 0 for no; read in the sources above, once.
STATED = {
    "names_rmsnorm": 0.0,
    "names_layernorm": 1.0,
    "port_centres": 1.0,
    "code_base_centres": 0.0,
}


def trial(options: Options, seed: int) -> Measurement:
    """The share of norms that centre, that shift, and that do neither, as RMSNorm; of PaLM what is
    stated."""
    import torch

    from normlab.tools.norm_placement import norm_placement
    from normlab.tools.tiny_transformers import build_tiny, tiny_inputs, transformers_version

    # Nothing to build: there is no code.
    if options["model"] == "PaLM":
        return Measurement(STATED, transformers_version())
    torch.manual_seed(seed)
    model = build_tiny(options["model"])
    kinds = [norm.behaviour for norm in norm_placement(model, tiny_inputs(model)).norms]
    metrics = {
        "centred": sum(kind.centres for kind in kinds) / len(kinds),
        "shifted": sum(kind.shifts for kind in kinds) / len(kinds),
        "rms": sum(not kind.centres and not kind.shifts for kind in kinds) / len(kinds),
        "norms": len(kinds),
    }
    return Measurement(metrics, transformers_version())


def yes_or_no(model: str, metric: str, words: str) -> Quantity:
    """1 if the metric, a share or a yes, is 1 in the model's one trial, else 0."""
    return reached((model,), metric, words=words, unit="")


def measured(name: str, model: str) -> Part:
    """Whether all norms of a tiny copy are RMSNorms."""
    words = "no norm of it centres or shifts its input, of 5 in a tiny copy"
    quantity = yes_or_no(model, "rms", words)
    return Part(name, f"{name} uses RMSNorm", quantity, Listed((model,), 1.0))


CLAIM = Claim(
    slug="rmsnorm-adoption",
    statement="GPT, LLaMA and PaLM use RMSNorm.",
    documents=("Normalization Deep-Dive",),
    source="GPT-2's code: mean and bias. LLaMA's paper names RMSNorm. PaLM's names LayerNorm, "
    "without biases.",
    prediction="partly supported: LLaMA and gpt-oss yes, GPT-2 no, PaLM by its paper no",
    arms=tuple(
        Arm(model, options={"model": model}) for model in ("gpt2", "gpt_oss", "llama", "PaLM")
    ),
    protocols=direct_protocols(1, 0.3),
    trial=trial,
    clauses=(
        measured("GPT", "gpt2"),
        measured("LLaMA", "llama"),
        Part(
            "PaLM",
            "PaLM uses RMSNorm",
            Quantity(
                "what sources state of PaLM, no measurement",
                "",
                lambda evidence: np.zeros(0),
                ("PaLM",),
            ),
            Stated(
                INCONCLUSIVE,
                "the paper names LayerNorm without biases, and a port centres; the layer called "
                "LayerNorm in T5X, which the catalogue has as PaLM's code base, has no mean",
            ),
        ),
    ),
    scope=(
        measured("gpt-oss", "gpt_oss"),
        Part(
            "PaLM's paper",
            "PaLM's paper says that it uses RMSNorm",
            yes_or_no(
                "PaLM",
                "names_rmsnorm",
                "the paper names RMSNorm (1) or LayerNorm (0); no measurement",
            ),
            Listed(("the paper",), 1.0),
        ),
    ),
    answers=Answers(
        supported="GPT-2, LLaMA and PaLM use RMSNorm.",
        refuted="GPT-2 and LLaMA use no RMSNorm.",
        partly="LLaMA uses RMSNorm and GPT-2 does not; of PaLM the paper names LayerNorm, and the "
        "code that is said to be its base has no mean. gpt-oss uses RMSNorm, too.",
        inconclusive="Of PaLM sources disagree: the paper names LayerNorm, and the code that is "
        "said to be its base has no mean.",
    ),
    caveats=(
        "The formula of PaLM's paper was read in two summaries of it, not in the paper itself.",
        "PaLM's own code is closed; T5X calls an RMSNorm LayerNorm, so what PaLM ran is not known "
        "here.",
        "GPT-3, GPT-4 and other closed GPTs are not decided here.",
    ),
    would_change="PaLM's code, or a statement of its authors on which layer the name LayerNorm "
    "stands for.",
    first_seed=0,
    metrics={
        "rms": percent("norms that neither centre nor shift, as RMSNorm"),
        "names_rmsnorm": "what the paper names, RMSNorm (1) or LayerNorm (0)",
    },
)
