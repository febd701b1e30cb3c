"""BatchNorm would be unstable at inference with a batch of one, as when text is generated.

Said by: "Differences between Batch, Layer, Group and Instance Norm"; "Batch Normalization, a
walkthrough" says the contrary.
Primary source: Ioffe & Szegedy 2015: by definition inference uses fixed running statistics, an
affine map per channel.
Measured: a GPT with BatchNorm is trained, then evaluated on the same windows in batches of 64, one
by one, and one by one token by token with a key-value cache. What may go wrong is something else:
see bn-causal-leak, and missing-eval-bug for statistics of the batch, whose loss is recorded beside.
Cost: normlab run bn-unstable-ar-inference --profile full    10 trials to its first look, 3 minutes
of one core
"""

from typing import TYPE_CHECKING

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.overrides import as_options
from normlab.claims.protocols.text import text_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from torch import Tensor

BN, WINDOWS = "batchnorm", 64


def trial(options: Options, seed: int) -> Measurement:
    """Losses in nats on 64 test windows: in one batch, one by one, token by token.

    And the largest differences of logits.
    """
    import torch
    import torch.nn.functional as F

    from normlab.models.attention import Cache

    trained = train_network([*options["overrides"], *options["arm"]], seed)
    model = trained.model
    x, y = next(iter(trained.data.eval_batches("test")))
    x, y = x[:WINDOWS], y[:WINDOWS]

    def token_by_token(window: "Tensor") -> "Tensor":
        # One for each window: it holds keys and values of its tokens so far.
        cache = Cache()
        return torch.cat([model(token, cache) for token in torch.split(window, 1, dim=1)], dim=1)

    def loss(logits: "Tensor") -> float:
        return float(F.cross_entropy(logits.flatten(0, 1), y.flatten()))

    with torch.inference_mode():
        whole = model(x)
        # The same windows, so that only the batch differs.
        single = torch.cat([model(window) for window in x.split(1)])
        decoded = torch.cat([token_by_token(window) for window in x.split(1)])
        # What statistics of the batch would give; the running ones move, and nothing reads them.
        # Last, since train mode moves the running statistics that the others read.
        model.train()
        by_batch = model(x)
        by_window = torch.cat([model(window) for window in x.split(1)])
    metrics = {
        "batch_loss": loss(whole),
        "single_loss": loss(single),
        "decoded_loss": loss(decoded),
        "single_logits_error": float((single - whole).abs().max()),
        "decoded_logits_error": float((decoded - whole).abs().max()),
        "batch_statistics_batch_loss": loss(by_batch),
        "batch_statistics_single_loss": loss(by_window),
    }
    return Measurement(metrics, trained.source)


def change(way: str, words: str) -> Quantity:
    """How far the loss moves; beside it the logits, and what statistics of the batch would do."""

    def read(evidence: Evidence) -> Values:
        moved = evidence.values(BN, f"{way}_loss") - evidence.values(BN, "batch_loss")
        return abs(moved)

    def beside(evidence: Evidence) -> str:
        logits = evidence.values(BN, f"{way}_logits_error").max()
        batch = evidence.values(BN, "batch_statistics_batch_loss").mean()
        single = evidence.values(BN, "batch_statistics_single_loss").mean()
        wrong = f"the loss is {batch:.3g} in batches of 64 and {single:.3g} of one"
        return f"logits differ by {logits:.1g} at most; with statistics of the batch {wrong}"

    words = f"|loss {words} - loss in batches of {WINDOWS}|"
    return Quantity(words, "nats", read, (BN,), beside)


CLAIM = Claim(
    slug="bn-unstable-ar-inference",
    statement="BatchNorm is unstable at inference with a batch of one, as in autoregressive "
    "decoding.",
    documents=("Differences between Batch, Layer, Group and Instance Norm",),
    source="Ioffe & Szegedy 2015, section 3.1: at inference the statistics are fixed, and the "
    "layer is an affine map.",
    prediction="refuted: the logits agree within 1e-4",
    arms=(
        Arm(BN, options={"arm": ("norm=batchnorm", "allow_noncausal=true")}),
        Arm("layernorm", options={"arm": ("norm=layernorm",)}),
    ),
    protocols=as_options(text_protocols("optim.lr=0.003", seconds=4.0)),
    trial=trial,
    clauses=(
        Part(
            "batch of one",
            "the loss changes when windows are evaluated one by one",
            change("single", "one by one"),
            AtLeast(0.05),
            expected=0.0,
            noise=0.001,
        ),
        Part(
            "decoding",
            "the loss changes when each is read token by token with a cache",
            change("decoded", "token by token"),
            AtLeast(0.05),
            expected=0.0,
            noise=0.001,
        ),
    ),
    answers=Answers(
        supported="At inference the loss with BatchNorm changes by {batch of one.effect:.2f} nats "
        "one window at a time, and by {decoding.effect:.2f} token by token.",
        refuted="At inference BatchNorm is a fixed map: one window at a time its loss changes by "
        "{batch of one.effect:.3f} nats, and token by token by {decoding.effect:.3f}.",
        partly="At inference the loss with BatchNorm changes by {batch of one.effect:.3f} nats "
        "one window at a time and by {decoding.effect:.3f} token by token.",
    ),
    caveats=(
        "In eval mode, as inference is. What is unstable is training: bn-causal-leak.",
        "The same tokens are read either way; text that the model draws itself is not judged.",
    ),
    would_change="A framework that normalizes with the statistics of the batch at inference.",
    metrics={
        "batch_loss": f"test loss in batches of {WINDOWS} windows, nats",
        "single_loss": "test loss, windows one by one, nats",
        "decoded_loss": "test loss, windows token by token, nats",
        "single_logits_error": "largest change of a logit, windows one by one",
        "decoded_logits_error": "largest change of a logit, windows token by token",
        "batch_statistics_batch_loss": f"test loss, statistics of {WINDOWS} windows, nats",
        "batch_statistics_single_loss": "test loss, statistics of one window, nats",
    },
)
