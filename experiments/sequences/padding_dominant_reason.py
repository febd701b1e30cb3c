"""Padding wrecks BatchNorm's statistics, which is the main reason why transformers use LayerNorm.

Said by: "Normalization Deep-Dive", weaker by two more.
Primary source: Shen et al. 2020 (PowerNorm) blame the fluctuation of batch statistics; their BN
baseline leaves padding out and still loses, so padding cannot be all of it.
Measured: an encoder finds hidden words of AG News: batches of 32, BN over n documents, which are 16
words and 0 to 90 % of padding. No attention goes there; norms see padding as it comes (counted),
zeros in its place (zeroed), or none (masked: the same as no padding at all). cost = loss(BN) -
loss(BN masked), gap = loss(BN) - loss(LN), over the mean of the shares of padding. Zeros have a
rule of their own since pilots (seed 1001), where at 90 % they cost 0.5 nats and counted padding
nothing.
Cost: normlab run padding-dominant-reason --profile cpu    6 minutes on 2 cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.figure import Sweep
from normlab.claims.protocols import documents
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast, MainReason

SHARES = {
    ("counted", 4): (50, 75),
    ("counted", 32): (50, 75, 90),
    ("zeroed", 4): (50, 75),
    ("zeroed", 32): (50, 75),
}


def topics_arm(name: str, norm: tuple[str, ...], share: int = 0, how: str = "counted") -> Arm:
    overrides = (*norm, *documents.CLASSIFY, *documents.cropped(share), f"model.padding={how}")
    return Arm(f"topics, {name}", overrides)


def hidden_words(how: str, n: int) -> Part:
    arms = [f"batchnorm {n}, {how} {share}" for share in SHARES[how, n]]
    return Part(
        f"{how}, {n}",
        f"BatchNorm over {n} documents loses to LayerNorm, mainly by padding that is {how}",
        documents.gap_and_cost(arms, f"batchnorm {n}, counted 0", "layernorm"),
        MainReason(0.02),
    )


def topics(how: str) -> Part:
    names = f"batchnorm {how}", "batchnorm masked", "layernorm"
    arm, masked, layernorm = (f"topics, {name}" for name in names)
    return Part(
        f"topics, {how}",
        "so it does over 4 documents where topics are asked for, and three quarters are padding, "
        f"{how}",
        documents.gap_and_cost([arm], masked, layernorm, "test_accuracy"),
        MainReason(1.0),
    )


def mismatch(evidence: Evidence) -> Values:
    """Trained without padding and normalized with batches of 90 %, against trained with those."""

    def cost(arm: str) -> Values:
        return evidence.values(arm, "batch_test_loss") - evidence.values(arm, "test_loss")

    # Less the same with batches as in training, which is what batch statistics cost by themselves.
    return cost("batchnorm 32, counted 0") - cost("batchnorm 32, counted 90")


CLAIM = Claim(
    slug="padding-dominant-reason",
    statement="Padding wrecks BatchNorm's statistics, and that is the main reason why transformers "
    "use LayerNorm.",
    documents=(
        "Normalization Deep-Dive",
        "Batch Normalization, a walkthrough",
        "How BN, IN and LN differ",
    ),
    source="Shen et al. 2020: batch statistics of text fluctuate; their BN leaves padding out, and "
    "still loses.",
    prediction="partly supported: refuted for counted padding (the catalogue), supported for zeros "
    "(pilots)",
    arms=(
        documents.LAYERNORM,
        *(documents.padded_arm(n, "counted", 0) for n in (4, 32)),
        *(
            documents.padded_arm(n, how, share)
            for (how, n), shares in SHARES.items()
            for share in shares
        ),
        documents.own_lengths_arm("layernorm", "counted"),
        *(documents.own_lengths_arm("batchnorm", how) for how in ("counted", "masked")),
        topics_arm("layernorm", ("norm=layernorm",)),
        topics_arm("batchnorm masked", documents.batchnorm(4)),
        *(
            topics_arm(f"batchnorm {how}", documents.batchnorm(4), 75, how)
            for how in ("counted", "zeroed")
        ),
    ),
    protocols=documents.document_protocols(seconds=4.0),
    tuning_metric="val_loss",
    parts=(
        *(hidden_words(how, n) for how, n in SHARES),
        Part(
            "own lengths",
            "so it does in batches of 16 documents of their own lengths",
            documents.gap_and_cost(
                ["own lengths, batchnorm counted"],
                "own lengths, batchnorm masked",
                "own lengths, layernorm",
            ),
            MainReason(0.02),
        ),
        *(topics(how) for how in ("counted", "zeroed")),
        Part(
            "mismatch",
            "with batch statistics at evaluation, as in that baseline, a share of padding not "
            "trained with costs",
            Quantity(
                "test loss at 90 % of padding, batch - running statistics: trained at 0 % less "
                "trained at 90 %",
                "nats",
                mismatch,
            ),
            AtLeast(0.02),
        ),
    ),
    caveats=(
        "Short runs of a small encoder; whether LayerNorm wins at all is ln-beats-bn-transformer.",
        "With running statistics no token's output depends on the padding of the test batch: no "
        "part asks for that.",
        "Zeros are set before every norm; libraries that set them do so once, before the first "
        "layer.",
        "90 % of padding only where it is counted, over 32 documents: it takes ten times as long.",
    ),
    would_change="Runs in which counted padding costs BatchNorm what it lacks to LayerNorm.",
    figure=Sweep(
        x="padding_share",
        x_label="padding, % of tokens",
        by=("norm", "padding"),
        metric="test_loss",
        bands=("layernorm",),
    ),
)
