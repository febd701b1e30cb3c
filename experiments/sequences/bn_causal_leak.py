"""BatchNorm over batch and positions shows a causal language model the future: its training loss is not a loss.

Nobody says it; it follows from "Differences between Batch, Layer, Group and Instance Norm" and "Normalization
Deep-Dive", which have BatchNorm of sequences reduce over batch and positions. Where every token is drawn anew,
uniformly from 8, no model can have less than ln 8 = 2.079 nats of loss, unless it sees the token. Losses are measured
after training, on fresh sequences, in train mode (statistics of the batch) and in eval mode (running statistics).
SGD batch 32, BatchNorm over n samples of it; statistics per position or over the prefix hold nothing of the future.

    normlab run bn-causal-leak --profile cpu        2 minutes on 2 cores
"""

from math import log

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.overrides import as_options
from normlab.claims.protocols.text import text_protocols
from normlab.claims.rules import equivalent_within, greater_by
from normlab.measure.leak import VOCABULARY, losses

FLOOR = log(VOCABULARY)
CAUSAL = {
    kind: ("norm=causal_batchnorm", f"norm.statistics={kind}") for kind in ("position", "prefix")
}


def trial(options, seed):
    """train_mode_loss and eval_mode_loss on sequences that the network has not seen; on text, text_train_mode_loss."""
    found = losses((*options["overrides"], *options["arm"]), seed, uniform=not options["text"])
    return {
        f"text_{name}" if options["text"] and name != "data" else name: value
        for name, value in found.items()
    }


def arm(name, *overrides, text=False):
    return Arm(name, options={"arm": overrides, "text": text})


def batchnorm(n):
    return "norm=batchnorm", f"norm.ghost_batch={n}"


def below(evidence, name):
    return FLOOR - evidence.values(name, "train_mode_loss")


def no_leak(name, words):
    rule = f"ln 8 - loss({name}) in train mode within 0.05 nats either way (TOST)"
    return Part(
        name, words, rule, lambda evidence: equivalent_within(below(evidence, name), 0.05, "nats")
    )


def on_text(evidence):
    """The smaller of two per seed: how far BatchNorm's loss is below LayerNorm's in train mode, above it in eval."""
    layernorm = evidence.values("text, layernorm", "text_eval_mode_loss")
    below = layernorm - evidence.values("text, batchnorm 1", "text_train_mode_loss")
    above = evidence.values("text, batchnorm 1", "text_eval_mode_loss") - layernorm
    return greater_by(np.minimum(below, above), 0.05, "nats")


CLAIM = Claim(
    slug="bn-causal-leak",
    statement="BatchNorm over batch and positions leaks the future into a causal language model's training loss.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "Normalization Deep-Dive",
    ),
    source="Derived. Wu & Johnson 2021 name the general effect: what batch statistics tell about the other samples.",
    prediction="supported at a normalization batch of 1, from where it vanishes by 4 to 32 (pilots)",
    arms=(
        *(arm(f"batchnorm {n}", *batchnorm(n)) for n in (1, 2, 4, 8, 32)),
        arm("layernorm", "norm=layernorm"),
        arm("batchnorm, SGD batch 2", "norm=batchnorm", "data.batch_size=2"),
        *(arm(f"{kind}, SGD batch 2", *CAUSAL[kind], "data.batch_size=2") for kind in CAUSAL),
        arm("text, layernorm", "norm=layernorm", text=True),
        *(arm(f"text, batchnorm {n}", *batchnorm(n), text=True) for n in (1, 32)),
        arm("text, prefix", *CAUSAL["prefix"], text=True),
    ),
    protocols=as_options(text_protocols("model.depth=2", "optim.lr=0.003", steps=300, seconds=4.0)),
    trial=trial,
    parts=(
        Part(
            "one sample",
            "over single samples of uniform tokens its train-mode loss is 0.05 nats below what is possible",
            "ln 8 - loss(batchnorm 1) in train mode: supported from 0.05, refuted below 0.025",
            lambda evidence: greater_by(below(evidence, "batchnorm 1"), 0.05, "nats"),
        ),
        Part(
            "evaluation",
            "and its eval-mode loss is 0.5 nats above that",
            "loss(batchnorm 1) in eval mode - ln 8: supported from 0.5, refuted below 0.25",
            lambda evidence: greater_by(
                evidence.values("batchnorm 1", "eval_mode_loss") - FLOOR, 0.5, "nats"
            ),
        ),
        no_leak("batchnorm 32", "over 32 samples nothing is left of it at this length"),
        no_leak("layernorm", "LayerNorm never has less than is possible"),
        *(
            no_leak(f"{kind}, SGD batch 2", f"nor has BatchNorm with statistics per {kind}")
            for kind in CAUSAL
        ),
        Part(
            "text",
            "on text BatchNorm over single samples looks better than LayerNorm in train mode and is worse in eval mode",
            "the smaller of loss(LN) - train-mode loss(BN 1) and eval-mode loss(BN 1) - loss(LN): supported from 0.05, "
            "refuted below 0.025",
            on_text,
        ),
    ),
    caveats=(
        "No document claims it: it is what their definition does to a causal model.",
        "One learning rate for all arms: what can leak, not what is best, is asked.",
    ),
    would_change="Longer sequences or larger batches shrink the leak; statistics of the past alone end it.",
    figure="sweep train_mode_loss over normalization batch",
)
