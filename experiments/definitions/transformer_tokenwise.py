"""Transformers process every token independently of the others.

Said by: "BatchNorm vs LayerNorm" (a lesson), as the reason why LayerNorm suits them. Attention mixes tokens: in a
causal model output i depends on every token up to i. What is true is that LayerNorm and the MLP treat each token by
itself; that is measured beside it. Tokens of random sequences are replaced one at a time, in float64, in this
repository's transformer and in the GPT-2 of the `transformers` library (tiny, without weights).

    normlab run transformer-tokenwise        10 seconds on one core
"""

from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import exact_within

NAMES = {"normlab": "this repository's transformer", "gpt2": "GPT-2"}
LENGTH, VOCABULARY = 8, 50


def trial(options, seed):
    """Largest change of an output when an earlier or a later token is replaced, the smallest due to an earlier one,
    and what LayerNorm and MLP alone make of such a change elsewhere: all relative to the deviation of the outputs."""
    import torch

    from normlab.config.schema import compose
    from normlab.models import build_model
    from normlab.tools.tiny_transformers import build_tiny, transformers_version

    torch.manual_seed(seed)
    if options["model"] == "gpt2":
        model = build_tiny("gpt2")
        block = model.transformer.h[0]
        norm, mlp = block.ln_1, block.mlp
    else:
        cfg = compose(["model=transformer", f"seed={seed}"])
        model = build_model(cfg, "text", (LENGTH,), VOCABULARY)
        modules = list(model.modules())
        norm = next(module for module in modules if type(module).__name__ == "LayerNorm")
        own = next(module for module in modules if type(module).__name__ == "MLPBranch")

        def mlp(x):
            return own(x, None)

    model.double().eval()
    width = norm.weight.numel()

    @torch.no_grad()
    def outputs(ids):
        y = model(ids)
        return getattr(y, "logits", y)[0]  # (T, vocabulary)

    ids = torch.randint(3, VOCABULARY, (1, LENGTH))
    before = outputs(ids)
    change = torch.empty(LENGTH, LENGTH)  # of output i due to token j
    for j in range(LENGTH):
        other = ids.clone()
        other[0, j] = (ids[0, j] - 3 + torch.randint(1, VOCABULARY - 3, ())) % (VOCABULARY - 3) + 3
        change[:, j] = (outputs(other) - before).abs().amax(1) / before.std()

    def alone(layer):
        x, y = torch.randn(2, 1, LENGTH, width, dtype=torch.float64)
        y[0, 0] = x[0, 0]
        with torch.no_grad():
            return float((layer(x)[0, 0] - layer(y)[0, 0]).abs().max())

    earlier = change.tril(-1)
    return {
        "due_to_earlier": float(earlier.max()),
        "due_to_earlier_smallest": float(change[torch.ones_like(change).tril(-1) > 0].min()),
        "due_to_later": float(change.triu(1).max()),
        "norm_alone": alone(norm),
        "mlp_alone": alone(mlp),
        "data": transformers_version(),
    }


def independent(arm):
    def decide(evidence):
        found = exact_within(
            evidence.values(arm, "due_to_earlier"), 1e-6, "deviations of the outputs"
        )
        alone = max(evidence.table([arm], metric).max() for metric in ("norm_alone", "mlp_alone"))
        later = evidence.values(arm, "due_to_later").max()
        return replace(
            found,
            text=f"{found.text}; later tokens {later:.2g}; LayerNorm or MLP alone {alone:.2g}",
        )

    rule = "largest change of an output in 20 draws, when another token is replaced, within 1e-6 of their deviation"
    return Part(
        NAMES[arm], f"an output of {NAMES[arm]} does not depend on other tokens", rule, decide
    )


CLAIM = Claim(
    slug="transformer-tokenwise",
    statement="Transformers process every token independently of the others.",
    documents=("BatchNorm vs LayerNorm",),
    source="Vaswani et al. 2017: attention mixes positions; the MLP is applied to each position separately.",
    prediction="refuted: every earlier token counts, no later one; LayerNorm and the MLP alone are position-wise",
    arms=tuple(Arm(name, options={"model": name}) for name in NAMES),
    protocols={
        "cpu": Protocol(seeds=20, seconds_per_trial=0.1),
        "smoke": Protocol(seeds=2, seconds_per_trial=0.1),
    },
    trial=trial,
    parts=tuple(independent(arm) for arm in NAMES),
    caveats=(
        "It is true of all layers but attention, and of a norm over a token's own features whether it centres or not.",
    ),
    would_change="A transformer without attention.",
)
