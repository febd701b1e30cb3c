"""Pre-LN is the default from GPT-2 on: LLaMA, T5 and what came after; the first was Post-LN.

Said by: "Normalization Deep-Dive".
Primary source: the reference implementations in the `transformers` library.
Measured: an audit. Each model is built from a tiny configuration, without weights, and its
placement follows from which tensor is added to which in a forward pass. Pre-LN is counted strictly:
a norm before every branch and none after a branch or after a sum. So a sandwich (Gemma 2) and norms
after the branch only (OLMo 2) are exceptions, although no norm is on the skip path there. The list
was fixed before it was counted, though some of it served to try the counter out: 15 families from
GPT-2 on, among them the two exceptions that the catalogue names, Gemma 2 and OLMo 2.
Cost: normlab run preln-default-families --profile full    18 trials, 5 seconds of one core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import reached
from normlab.claims.rules import Listed
from normlab.records.measurement import Measurement

LATER = (
    "gpt2", "t5", "gptj", "gpt_neox", "opt", "bloom", "llama", "mistral", "qwen2", "phi", "falcon",
    "gemma2", "olmo2", "deepseek_v3", "gpt_oss",
)  # fmt: skip
# marian is the encoder-decoder of Vaswani et al. 2017, openai-gpt is GPT.
BEFORE = ("marian", "openai-gpt", "bert")


def trial(options: Options, seed: int) -> Measurement:
    """Shares of the residual sums with a norm before the branch, after it, and after the sum; or in
    one place only."""
    import torch

    from normlab.tools.norm_placement import norm_placement
    from normlab.tools.tiny_transformers import build_tiny, tiny_inputs, transformers_version

    torch.manual_seed(seed)
    model = build_tiny(options["model"])
    found = norm_placement(model, tiny_inputs(model))

    def share(place: str) -> float:
        return sum(place in branch for branch in found.branches) / len(found.branches)

    metrics = {
        # All residual sums of a model alike: one block of another kind makes it "mixed".
        "pre": float(found.placement == "pre"),
        "post": float(found.placement == "post"),
        "before": share("before"),
        "after_branch": share("after branch"),
        "after_sum": share("after sum"),
        "final_norm": float(found.final_norm),
        "residual_sums": len(found.branches),
    }
    return Measurement(metrics, transformers_version())


def part(name: str, statement: str, placement: str, models: tuple[str, ...]) -> Part:
    """Whether the norms of `models` stand in that place, in one trial each."""
    words = f"models with norms in {placement} placement, of {', '.join(models)}"
    quantity = reached(models, placement, words=words, unit="of the list")
    return Part(name, statement, quantity, Listed(models, 0.8))


CLAIM = Claim(
    slug="preln-default-families",
    statement="Pre-LN is the default in GPT-2 and later families, LLaMA and T5; the original "
    "transformer is Post-LN.",
    documents=("Normalization Deep-Dive",),
    source="GPT-2's code adds attn(norm(x)) and mlp(norm(x)) to x and ends with a norm; so do "
    "those that followed it.",
    prediction="supported: 13 of 15, Gemma 2 and OLMo 2 not; the three before GPT-2 Post-LN",
    arms=tuple(Arm(model, options={"model": model}) for model in (*LATER, *BEFORE)),
    protocols=direct_protocols(1, 0.3),
    trial=trial,
    clauses=(
        part("the named", "GPT-2, LLaMA and T5 are Pre-LN", "pre", ("gpt2", "llama", "t5")),
        part("the later ones", "families from GPT-2 on are Pre-LN", "pre", LATER),
        part("the original", "the original transformer, GPT and BERT are Post-LN", "post", BEFORE),
    ),
    answers=Answers(
        supported="GPT-2, LLaMA and T5 are Pre-LN, and so are {the later ones.effect:.0%} of 15 "
        "families from GPT-2 on; the original, GPT and BERT are Post-LN.",
        refuted="{the named.effect:.0%} of GPT-2, LLaMA and T5 and {the later ones.effect:.0%} of "
        "15 families from GPT-2 on are Pre-LN.",
        partly="{the named.effect:.0%} of GPT-2, LLaMA and T5 and {the later ones.effect:.0%} of "
        "15 families from GPT-2 on are Pre-LN; of the original, GPT and BERT "
        "{the original.effect:.0%} are Post-LN.",
    ),
    caveats=(
        "The original's paper is meant; its code, tensor2tensor, came to norms before branches "
        "(transformer_base_v2).",
        "Families count once each, whatever their use; the library's default options, which a "
        "release can override.",
        "Both exceptions are of 2024; for what such norms do, see peri-ln-steadier.",
    ),
    would_change="A list with more models of 2024 and later that normalize after the branch.",
    first_seed=0,
    metrics={
        "pre": "every block is Pre-LN, 1 (yes) or 0 (no)",
        "post": "every block is Post-LN, 1 (yes) or 0 (no)",
    },
)
