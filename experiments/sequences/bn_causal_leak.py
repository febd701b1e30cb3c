"""BatchNorm over batch and positions shows a causal language model the future as it trains.

Its training loss is then not a loss of a language model.

Said by: nobody; it follows from "Differences between Batch, Layer, Group and Instance Norm" and
"Normalization Deep-Dive", which have BatchNorm of sequences reduce over batch and positions.
Primary source: none, it is derived; Wu & Johnson 2021 name the general effect.
Measured: where every token is drawn anew, uniformly from 8, no model can have less than ln 8 =
2.079 nats of loss, unless it sees the token. Losses are measured after training, on fresh
sequences, in train mode (statistics of the batch) and in eval mode (running statistics). SGD batch
32, BatchNorm over n samples of it; statistics per position or over the prefix hold nothing of the
future.
Cost: normlab run bn-causal-leak --profile full    65 trials to its first look, 17 minutes of one
core
"""

from dataclasses import replace
from math import log

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.figure import Sweep
from normlab.claims.protocols.overrides import as_options
from normlab.claims.protocols.text import text_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast, Within
from normlab.measure.leak import VOCABULARY, losses
from normlab.records.measurement import Measurement

FLOOR = log(VOCABULARY)  # the least loss on uniform tokens
CAUSAL = {
    kind: ("norm=causal_batchnorm", f"norm.statistics={kind}") for kind in ("position", "prefix")
}


def trial(options: Options, seed: int) -> Measurement:
    """train_mode_loss and eval_mode_loss on sequences that the network has not seen.

    On text their names begin with `text_`.
    """
    net = (*options["overrides"], *options["arm"])
    measured = losses(net, seed, uniform=not options["text"])
    if not options["text"]:
        return measured
    metrics = {f"text_{name}": loss for name, loss in measured.metrics.items()}
    return replace(measured, metrics=metrics)


def uniform(name: str, *overrides: str, line: str = "", batch: int | None = None) -> Arm:
    """An arm on uniform tokens. With a normalization batch it is a point of the figure."""
    at: dict[str, float | str] = {"norm": line or name}
    if batch is not None:
        # Without it the arm is a band, or not in the figure.
        at["normalization_batch"] = batch
    return Arm(name, options={"arm": overrides, "text": False}, at=at)


def small(name: str, *overrides: str) -> Arm:
    """An arm on uniform tokens in SGD batches of 2."""
    line = f"{name}, SGD batch"
    return uniform(f"{line} 2", *overrides, "data.batch_size=2", line=line, batch=2)


def text(name: str, *overrides: str) -> Arm:
    return Arm(f"text, {name}", options={"arm": overrides, "text": True})


def batchnorm(n: int) -> tuple[str, ...]:
    return "norm=batchnorm", f"norm.ghost_batch={n}"


def below(name: str) -> Quantity:
    """How far an arm's loss in train mode is below the least that is possible."""
    words = f"ln {VOCABULARY} - train-mode loss({name})"
    return Quantity(
        words,
        "nats",
        lambda evidence: FLOOR - evidence.values(name, "train_mode_loss"),
        (name,),
    )


def no_leak(name: str, statement: str) -> Part:
    return Part(name, statement, below(name), Within(0.05))


def evaluation(evidence: Evidence) -> Values:
    return evidence.values("batchnorm 1", "eval_mode_loss") - FLOOR


def on_text(evidence: Evidence) -> Values:
    """The smaller of two per seed: BatchNorm below LayerNorm in train mode, above it in eval."""
    layernorm = evidence.values("text, layernorm", "text_eval_mode_loss")
    below = layernorm - evidence.values("text, batchnorm 1", "text_train_mode_loss")
    above = evidence.values("text, batchnorm 1", "text_eval_mode_loss") - layernorm
    # Both must hold in the same seed.
    return np.asarray(np.minimum(below, above))


PROTOCOLS = text_protocols("model.depth=2", "optim.lr=0.003", steps=300, seconds=4.0)
SMOKE = PROTOCOLS["smoke"]  # each arm tests as many sequences as any other profile: in few batches
PROTOCOLS["smoke"] = replace(
    SMOKE, overrides=(*SMOKE.overrides, "model.depth=1", "data.batch_size=16")
)

CLAIM = Claim(
    slug="bn-causal-leak",
    statement="BatchNorm over batch and positions leaks the future into a causal language model's "
    "training loss.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "Normalization Deep-Dive",
    ),
    source="Derived. Wu & Johnson 2021 name the general effect: what batch statistics tell about "
    "the other samples.",
    prediction="supported at a normalization batch of 1, from where it vanishes by 4 to 32 "
    "(pilots)",
    arms=(
        *(
            uniform(f"batchnorm {n}", *batchnorm(n), line="batchnorm", batch=n)
            for n in (1, 2, 4, 8, 32)
        ),
        # The control: no statistics over positions, and so no leak.
        uniform("layernorm", "norm=layernorm"),
        small("batchnorm", "norm=batchnorm"),
        *(small(kind, *overrides) for kind, overrides in CAUSAL.items()),
        text("layernorm", "norm=layernorm"),
        *(text(f"batchnorm {n}", *batchnorm(n)) for n in (1, 32)),
        text("prefix", *CAUSAL["prefix"]),
    ),
    protocols=as_options(PROTOCOLS),
    trial=trial,
    clauses=(
        Part(
            "one sample",
            "over single samples of uniform tokens its train-mode loss is 0.05 nats below what is "
            "possible",
            below("batchnorm 1"),
            AtLeast(0.05),
            expected=1.4,
            noise=0.25,
        ),
        Part(
            "text",
            "on text BatchNorm over single samples looks better than LayerNorm in train mode and "
            "is worse in eval mode",
            Quantity(
                "the smaller of loss(LayerNorm) - train-mode loss(BatchNorm over 1) and eval-mode "
                "loss(BatchNorm over 1) - loss(LayerNorm)",
                "nats",
                on_text,
                ("text, layernorm", "text, batchnorm 1"),
            ),
            AtLeast(0.05),
            expected=0.3,
            noise=0.03,
        ),
        replace(
            no_leak("layernorm", "LayerNorm never has less than is possible"),
            expected=0.0,
            noise=0.01,
        ),
    ),
    scope=(
        Part(
            "evaluation",
            "and its eval-mode loss is 0.5 nats above that",
            Quantity(
                f"eval-mode loss(batchnorm 1) - ln {VOCABULARY}",
                "nats",
                evaluation,
                ("batchnorm 1",),
            ),
            AtLeast(0.5),
        ),
        no_leak("batchnorm 32", "over 32 samples nothing is left of it at this length"),
        *(
            no_leak(f"{kind}, SGD batch 2", f"nor has BatchNorm with statistics per {kind}")
            for kind in CAUSAL
        ),
    ),
    answers=Answers(
        supported="Over single samples BatchNorm shows a causal model the future: on uniform "
        "tokens its training loss is {one sample.effect:.2f} nats ({one sample.low:.2f} to "
        "{one sample.high:.2f}) below what is possible, and in evaluation {evaluation.effect:.0f} "
        "nats above; over 32 samples {batchnorm 32.size:.3f} nats are left of it.",
        refuted="BatchNorm over single samples leaks nothing that shows: on uniform tokens its "
        "training loss is {one sample.effect:.2f} nats ({one sample.low:.2f} to "
        "{one sample.high:.2f}) below what is possible.",
        partly="On uniform tokens BatchNorm's training loss over single samples is "
        "{one sample.effect:.2f} nats below what is possible; on text it looks better by "
        "{text.effect:.2f} than it is: not both as claimed.",
        inconclusive="Over single samples BatchNorm's training loss is {one sample.effect:.2f} "
        "nats ({one sample.low:.2f} to {one sample.high:.2f}) below what is possible on uniform "
        "tokens; on text it looks better by {text.effect:.2f}: not both are decided.",
    ),
    caveats=(
        "No document claims it: it is what their definition does to a causal model.",
        "One learning rate for all arms: what can leak, not what is best, is asked.",
    ),
    would_change="Longer sequences or larger batches shrink the leak; statistics of the past alone "
    "end it.",
    figure=Sweep(
        x="normalization_batch",
        x_label="normalization batch",
        metric="train_mode_loss",
        bands=("layernorm",),
    ),
    metrics={
        "train_mode_loss": "loss in train mode on uniform tokens, nats (least possible: 2.08)",
        "eval_mode_loss": "loss in eval mode on uniform tokens, nats (least possible: 2.08)",
        "text_train_mode_loss": "loss in train mode on text, nats",
        "text_eval_mode_loss": "loss in eval mode on text, nats",
    },
)
