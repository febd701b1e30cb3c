"""Transformers in Hugging Face's library use LayerNorm internally.

Said by: "BatchNorm vs LayerNorm" (a lesson), against BatchNorm.
Primary source: the code of `transformers` itself.
Measured: LayerNorm itself decides, which centres; a norm of each token by itself, RMSNorm included,
is scope. Both on one sample of the library's causal language models. The sample was drawn before
any norm was looked at: of the 189 types of the library's causal-LM table (5.23.0) those 124 that
the options of tiny_transformers.TINY build with less than 20 million parameters, and of these, in
alphabetical order, entry i * 124 // 30 for i = 0 .. 29. Left out are, for the most part, large
mixtures of experts and models with parts for images or sound.
Cost: normlab run hf-layernorm --profile full    30 trials, 9 seconds of one core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, reached
from normlab.claims.rules import Rate
from normlab.records.measurement import Measurement

SAMPLE = (
    "afmoe", "axk2", "beam", "bigbird_pegasus", "bloom", "cohere2_moe", "data2vec-text", "doge",
    "exaone4", "falcon_mamba", "gemma", "glm", "gpt_bigcode", "granite", "granitemoehybrid",
    "internlm3", "jetmoe", "llama4_text", "megatron-bert", "minimax_m3_vl_text",
    "modernbert-decoder", "nanochat", "olmo2", "opt", "phi3", "qwen3_5_text",
    "roberta-prelayernorm", "seed_oss", "trocr", "xlm-roberta",
)  # fmt: skip


def trial(options: Options, seed: int) -> Measurement:
    """How many norms; the shares that centre, that shift; and whether most centre, or all treat
    each token alone."""
    import torch

    from normlab.tools.norm_placement import norm_placement
    from normlab.tools.tiny_transformers import build_tiny, tiny_inputs, transformers_version

    # Weights and tokens are random; what is asked of the norms does not depend on them.
    torch.manual_seed(seed)
    model = build_tiny(options["model"])
    norms = norm_placement(model, tiny_inputs(model)).norms
    # A model without any norm has shares of 0, and counts against both parts.
    centred = sum(norm.behaviour.centres for norm in norms) / max(1, len(norms))
    by_token = sum(norm.behaviour.by_token for norm in norms) / max(1, len(norms))
    metrics = {
        "norms": len(norms),
        "centred": centred,
        "shifted": sum(norm.behaviour.shifts for norm in norms) / max(1, len(norms)),
        "by_token": by_token,
        "layernorm": float(bool(norms) and centred > 0.5),
        "token_norm": float(bool(norms) and by_token == 1),
    }
    return Measurement(metrics, transformers_version())


def models_with(metric: str, words: str) -> Quantity:
    """1 or 0 for each model of the sample, so that a share is one of models."""
    return reached(SAMPLE, metric, words=f"{words}, of {len(SAMPLE)} models drawn", unit="share")


CLAIM = Claim(
    slug="hf-layernorm",
    statement="Transformers in Hugging Face's library use LayerNorm internally.",
    documents=("BatchNorm vs LayerNorm",),
    source="BERT and GPT-2 came with LayerNorm; LLaMA (2023) and most that followed it with "
    "RMSNorm.",
    prediction="partly supported: LayerNorm itself in a minority, a norm of each token by itself "
    "in all",
    arms=tuple(Arm(model, options={"model": model}) for model in SAMPLE),
    protocols=direct_protocols(1, 0.3),
    trial=trial,
    clauses=(
        Part(
            "LayerNorm itself",
            "most norms of a causal language model of the library subtract the mean",
            models_with("layernorm", "models in which most norms centre"),
            Rate(0.8),
        ),
    ),
    scope=(
        Part(
            "a norm of its kind",
            "they normalize each token by itself, with or without the mean, and none over the "
            "batch",
            models_with("token_norm", "models in which all norms treat each token by itself"),
            Rate(0.8),
        ),
    ),
    answers=Answers(
        supported="{LayerNorm itself.effect:.0%} of 30 causal language models of the library use "
        "LayerNorm itself ({LayerNorm itself.low:.0%} to {LayerNorm itself.high:.0%}).",
        refuted="Only {LayerNorm itself.effect:.0%} of 30 causal language models of the library "
        "use LayerNorm itself ({LayerNorm itself.low:.0%} to {LayerNorm itself.high:.0%}); "
        "{a norm of its kind.effect:.0%} normalize each token by itself.",
        inconclusive="{LayerNorm itself.effect:.0%} of 30 causal language models of the library "
        "use LayerNorm itself ({LayerNorm itself.low:.0%} to {LayerNorm itself.high:.0%}): "
        "whether 80 % is open.",
    ),
    caveats=(
        "Types of models count once each, however much they are used; BERT's kin counts where it "
        "has a causal head.",
        "65 of the 189 types could not be built tiny by the same options and are missing.",
    ),
    would_change="A sample weighted by use: downloads, say.",
    first_seed=0,
    metrics={
        "layernorm": "most norms of the model centre, 1 (yes) or 0 (no)",
        "token_norm": "all norms treat each token by itself, 1 (yes) or 0 (no)",
    },
)
