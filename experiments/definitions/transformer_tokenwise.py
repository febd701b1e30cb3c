"""Transformers process every token independently of the others.

Said by: "BatchNorm vs LayerNorm" (a lesson), as the reason why LayerNorm suits them.
Primary source: Vaswani et al. 2017: attention mixes tokens. In a causal model output i depends on
every token up to i. What is true is that LayerNorm and the MLP treat each token by itself.
Measured: what replacing one token does to the outputs of others, and what LayerNorm and the MLP
alone make of it, beside it. Tokens of random sequences are replaced one at a time, in float64, in
this repository's transformer and in the GPT-2 of the `transformers` library (tiny, without
weights).
Cost: normlab run transformer-tokenwise --profile full    40 trials, 4 seconds of one core
"""

from dataclasses import replace
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import value
from normlab.claims.rules import Exact
from normlab.records.measurement import Measurement

NAMES = {"normlab": "this repository's transformer", "gpt2": "GPT-2"}
LENGTH, VOCABULARY = 8, 50


def network(name: str, seed: int) -> tuple[Any, Any, Any]:
    """The transformer of that name, and a norm and an MLP of it."""
    from normlab.config.compose import compose
    from normlab.models import build_model
    from normlab.tools.tiny_transformers import build_tiny

    if name == "gpt2":
        model: Any = build_tiny("gpt2")
        block = model.transformer.h[0]
        return model, block.ln_1, block.mlp
    cfg = compose(["model=transformer", f"seed={seed}"])
    model = build_model(cfg, "text", (LENGTH,), VOCABULARY)
    modules = list(model.modules())
    # The first of its blocks stands for all: they are of one class.
    norm = next(module for module in modules if type(module).__name__ == "LayerNorm")
    own: Any = next(module for module in modules if type(module).__name__ == "MLPBranch")
    # Its second argument says what attention sees, which an MLP has no use for.
    return model, norm, lambda x: own(x, None)


def trial(options: Options, seed: int) -> Measurement:
    """Largest change of an output when an earlier or a later token is replaced, the smallest due to
    an earlier one, and what LayerNorm and MLP alone make of such a change elsewhere: all relative
    to the deviation of the outputs."""
    import torch
    from torch import Tensor

    from normlab.tools.tiny_transformers import transformers_version

    torch.manual_seed(seed)
    model, norm, mlp = network(options["model"], seed)
    model.double().eval()
    width = norm.weight.numel()

    def outputs(ids: Tensor) -> Tensor:
        with torch.no_grad():
            y = model(ids)
        logits: Tensor = getattr(y, "logits", y)[0]  # (T, vocabulary)
        return logits

    ids = torch.randint(3, VOCABULARY, (1, LENGTH))
    before = outputs(ids)
    change = torch.empty(LENGTH, LENGTH)  # of output i due to token j
    for j in range(LENGTH):
        other = ids.clone()
        # Another of the words from 3 up, whichever the token is.
        step = torch.randint(1, VOCABULARY - 3, ())
        other[0, j] = (ids[0, j] - 3 + step) % (VOCABULARY - 3) + 3
        change[:, j] = (outputs(other) - before).abs().amax(1) / before.std()

    def alone(layer: Any) -> float:
        # Two sequences that share their first token only.
        x, y = torch.randn(2, 1, LENGTH, width, dtype=torch.float64)
        y[0, 0] = x[0, 0]
        with torch.no_grad():
            return float((layer(x)[0, 0] - layer(y)[0, 0]).abs().max())

    earlier = change.tril(-1)
    metrics = {
        "due_to_earlier": float(earlier.max()),
        "due_to_earlier_smallest": float(change[torch.ones_like(change).tril(-1) > 0].min()),
        "due_to_later": float(change.triu(1).max()),
        "norm_alone": alone(norm),
        "mlp_alone": alone(mlp),
    }
    return Measurement(metrics, transformers_version())


def independent(arm: str) -> Part:
    """An output does not depend on other tokens: those before it decide, the rest stands beside."""

    def beside(evidence: Evidence) -> str:
        later = evidence.values(arm, "due_to_later").max()
        norm, mlp = (evidence.values(arm, f"{name}_alone").max() for name in ("norm", "mlp"))
        return f"later tokens {later:.2g}; LayerNorm or MLP alone {max(norm, mlp):.2g}"

    change = value(
        arm,
        "due_to_earlier",
        words="largest change of an output when an earlier token is replaced",
        unit="deviations of the outputs",
    )
    statement = f"an output of {NAMES[arm]} does not depend on other tokens"
    return Part(NAMES[arm], statement, replace(change, beside=beside), Exact(1e-6))


CLAIM = Claim(
    slug="transformer-tokenwise",
    statement="Transformers process every token independently of the others.",
    documents=("BatchNorm vs LayerNorm",),
    source="Vaswani et al. 2017: attention mixes positions; the MLP is applied to each position "
    "separately.",
    prediction="refuted: every earlier token counts, no later one; LayerNorm and the MLP alone are "
    "position-wise",
    arms=tuple(Arm(name, options={"model": name}) for name in NAMES),
    protocols=direct_protocols(20, 0.1),
    trial=trial,
    clauses=tuple(independent(arm) for arm in NAMES),
    answers=Answers(
        supported="An output depends on no other token: changes of {GPT-2.effect:.0e} deviations "
        "at most.",
        refuted="A transformer mixes tokens: another earlier token changes an output by up to "
        "{GPT-2.effect:.1f} of its deviations in GPT-2.",
        partly="One of two transformers mixes tokens: changes of up to {GPT-2.effect:.1f} "
        "deviations in GPT-2.",
    ),
    caveats=(
        "It is true of all layers but attention, and of a norm over a token's own features whether "
        "it centres or not.",
    ),
    would_change="A transformer without attention.",
    first_seed=0,
    metrics={
        "due_to_earlier": "change of an output by an earlier token, in deviations of outputs",
        "due_to_later": "change of an output by a later token, in deviations of outputs",
        "norm_alone": "largest change of LayerNorm's output by other tokens",
        "mlp_alone": "largest change of the MLP's output by other tokens",
    },
)
