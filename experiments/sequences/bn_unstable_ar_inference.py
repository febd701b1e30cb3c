"""BatchNorm would be unstable at inference with a batch of one, as when text is generated token by token.

Said by: "Differences between Batch, Layer, Group and Instance Norm"; "Batch Normalization, a walkthrough" says the
contrary. By definition (Ioffe & Szegedy 2015) inference uses fixed running statistics: an affine map per channel. A
GPT with BatchNorm is trained, then evaluated on the same windows in batches of 64, one by one, and one by one token
by token with a key-value cache. What may go wrong is something else: see bn-causal-leak, and missing-eval-bug for
statistics of the batch, whose loss is recorded beside.

    normlab run bn-unstable-ar-inference --profile cpu        10 trials of 4 s: 20 seconds on 2 idle cores
"""

from dataclasses import replace

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.overrides import as_options
from normlab.claims.protocols.text import text_protocols
from normlab.claims.rules import greater_by
from normlab.measure.networks import train_network

BN, WINDOWS = "batchnorm", 64


def trial(options, seed):
    """Losses in nats on 64 test windows: in one batch, one by one, token by token; largest differences of logits."""
    import torch
    import torch.nn.functional as F

    from normlab.models.attention import Cache

    trained = train_network([*options["overrides"], *options["arm"]], seed)
    model = trained.model
    x, y = next(iter(trained.data.eval_batches("test")))
    x, y = x[:WINDOWS], y[:WINDOWS]

    def token_by_token(window):
        cache = Cache()
        return torch.cat([model(token, cache) for token in window.split(1, dim=1)], dim=1)

    def loss(logits):
        return float(F.cross_entropy(logits.flatten(0, 1), y.flatten()))

    with torch.inference_mode():
        whole = model(x)
        single = torch.cat([model(window) for window in x.split(1)])
        decoded = torch.cat([token_by_token(window) for window in x.split(1)])
        model.train()
        by_batch = model(x)
        by_window = torch.cat([model(window) for window in x.split(1)])
    return {
        "batch_loss": loss(whole),
        "single_loss": loss(single),
        "decoded_loss": loss(decoded),
        "single_logits_error": float((single - whole).abs().max()),
        "decoded_logits_error": float((decoded - whole).abs().max()),
        "batch_statistics_batch_loss": loss(by_batch),
        "batch_statistics_single_loss": loss(by_window),
        "data": trained.source,
    }


def unstable(way):
    """Whether the loss moves; the logits are named beside, and what statistics of the batch would do."""

    def decide(evidence):
        found = greater_by(
            abs(evidence.values(BN, f"{way}_loss") - evidence.values(BN, "batch_loss")),
            0.05,
            "nats",
        )
        logits = evidence.values(BN, f"{way}_logits_error").max()
        wrong = [
            evidence.values(BN, f"batch_statistics_{name}_loss").mean()
            for name in ("batch", "single")
        ]
        beside = f"with statistics of the batch the loss is {wrong[0]:.3g} in batches of 64 and {wrong[1]:.3g} of one"
        return replace(found, text=f"{found.text}; logits differ by {logits:.1g} at most; {beside}")

    return decide


RULE = "difference to the loss in batches of 64: supported from 0.05 nats, refuted below 0.025"

CLAIM = Claim(
    slug="bn-unstable-ar-inference",
    statement="BatchNorm is unstable at inference with a batch of one, as in autoregressive decoding.",
    documents=("Differences between Batch, Layer, Group and Instance Norm",),
    source="Ioffe & Szegedy 2015, section 3.1: at inference the statistics are fixed, and the layer is an affine map.",
    prediction="refuted: the logits agree within 1e-4",
    arms=(
        Arm(BN, options={"arm": ("norm=batchnorm", "allow_noncausal=true")}),
        Arm("layernorm", options={"arm": ("norm=layernorm",)}),
    ),
    protocols=as_options(text_protocols("optim.lr=0.003", seconds=4.0)),
    trial=trial,
    parts=(
        Part(
            "batch of one",
            "the loss changes when windows are evaluated one by one",
            RULE,
            unstable("single"),
        ),
        Part(
            "decoding",
            "the loss changes when each is read token by token with a cache",
            RULE,
            unstable("decoded"),
        ),
    ),
    caveats=(
        "In eval mode, as inference is. What is unstable is training: bn-causal-leak.",
        "The same tokens are read either way; text that the model draws itself is not judged.",
    ),
    would_change="A framework that normalizes with the statistics of the batch at inference.",
)
