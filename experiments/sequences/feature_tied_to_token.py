"""A channel of images means the same at every position, and a transformer's feature is the token's.

Said by: "Normalization Deep-Dive", as the reason why statistics over the batch suit images.
Primary source: none. Ba et al. 2016 (arXiv 1607.06450), section 6.7, say to the contrary that units
of a convolutional net near the border have other statistics than the rest.
Measured: what every norm of a trained network reads, at all positions of up to 1,000 test samples:
a CNN with BatchNorm, and a causal transformer of characters with LayerNorm. Of the variance of a
unit, the share that its position explains, and in the transformer the token at hand: mean over
units and norms. Less than a tenth by position in images, and at least half by the token in text,
decide.
Cost: normlab run feature-tied-to-token --profile full    10 trials to its first look, 50 minutes of
one core
"""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.metrics import percent
from normlab.claims.protocols.at_most import AtMost
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.protocols.text import text_protocols
from normlab.claims.quantity import Quantity, value
from normlab.claims.rules import AtLeast
from normlab.records.measurement import Measurement

IMAGES, TEXT = "images", "text"
NORMS = {IMAGES: ("norm=batchnorm",), TEXT: ("norm=layernorm",)}


def trial(options: Options, seed: int) -> Measurement:
    """Shares of variance at the norms of a trained network, see normlab.measure.variance_shares."""
    from normlab.measure.rates import train_tuned
    from normlab.measure.variance_shares import variance_shares

    net = options["net"]
    given = {**options, **options["text"]} if net == TEXT else options
    setup = train_tuned(given, NORMS[net], seed).kept
    return Measurement(variance_shares(setup.model, setup.data), setup.source)


def protocols() -> Mapping[str, Protocol]:
    """Those of images, and as an option those of text; of embedded text, which is always there."""
    text = text_protocols()
    of_text = {"smoke": text["smoke"], "quick": text["quick-embedded"]}
    of_text |= {"quick-embedded": of_text["quick"], "full": text["full-embedded"]}
    usual = with_own_rates(image_protocols(full_epochs=SHORT))
    return {
        name: replace(protocol, options={**protocol.options, "text": _own(of_text[name])})
        for name, protocol in usual.items()
    }


def _own(protocol: Protocol) -> dict[str, object]:
    # Smoke of text has no grid.
    rates = protocol.learning_rates or (0.003,)
    extend = bool(protocol.learning_rates)
    return {"overrides": protocol.overrides, "rates": rates, "choice": (), "extend": extend}


def share(net: str, metric: str, words: str) -> Quantity:
    """Per cent of the variance."""
    return value(net, metric, words=words, scale=100.0, unit="% of the variance")


NUMBERS = (
    "the position explains {images.effect:.1f} % ({images.low:.1f} to {images.high:.1f}) of the "
    "variance of a channel of images, and the token {text.effect:.0f} % ({text.low:.0f} to "
    "{text.high:.0f}) of that of a transformer's feature, whose position explains "
    "{text, position.effect:.1f} %"
)

CLAIM = Claim(
    slug="feature-tied-to-token",
    statement="A channel of a convolutional network means the same at all positions, while a "
    "feature of a transformer is tied to the token.",
    documents=("Normalization Deep-Dive",),
    source="None. Ba et al. 2016 hold that units of a convolutional network differ by position, "
    "near the border at least.",
    prediction="partly supported: position explains little in images, and no more in text; the "
    "token explains most at the first norm and less than half at the last",
    arms=tuple(Arm(net, options={"net": net}) for net in NORMS),
    protocols=protocols(),
    trial=trial,
    clauses=(
        Part(
            "images",
            "in a convolutional network the position explains less than a tenth of a channel's "
            "variance",
            share(IMAGES, "position", "share of a channel's variance that the position explains"),
            AtMost(10.0),
            expected=4.0,
            noise=1.5,
        ),
        Part(
            "text",
            "in a transformer the token explains at least half of a feature's variance",
            share(TEXT, "token", "share of a feature's variance that the token explains"),
            AtLeast(50.0),
            expected=60.0,
            noise=5.0,
        ),
    ),
    scope=(
        Part(
            "text, position",
            "in a transformer, too, the position explains less than a tenth",
            share(TEXT, "position", "share of a feature's variance that the position explains"),
            AtMost(10.0),
        ),
        Part(
            "text, last",
            "at the last norm of a transformer the token explains at least half",
            share(
                TEXT, "token_last", "share of a feature's variance that the token explains, last"
            ),
            AtLeast(50.0),
        ),
        Part(
            "images, first",
            "at the first norm of a convolutional network the position explains less than a tenth",
            share(
                IMAGES,
                "position_first",
                "share of a channel's variance that the position explains, first norm",
            ),
            AtMost(10.0),
        ),
        Part(
            "images, last",
            "at its last norm as well",
            share(
                IMAGES,
                "position_last",
                "share of a channel's variance that the position explains, last norm",
            ),
            AtMost(10.0),
        ),
        Part(
            "images, sample",
            "which image it is explains at least half of a channel's variance at the last norm",
            share(
                IMAGES,
                "sample_last",
                "share of a channel's variance that the image explains, last norm",
            ),
            AtLeast(50.0),
        ),
    ),
    answers=Answers(
        supported="As claimed, " + NUMBERS + ".",
        refuted="Not as claimed, less than 10 % and at least 50: " + NUMBERS + ".",
        partly="One of both as claimed, less than 10 % and at least 50: " + NUMBERS + ".",
        inconclusive="Not both are decided against 10 and 50 %: " + NUMBERS + ".",
    ),
    caveats=(
        "Variance explained stands for meaning: a unit may have equal means everywhere and still "
        "say different things.",
        "Tokens are characters; with words as tokens each is rarer and may explain more.",
        "A small transformer of three blocks, pre-LN, whose norms read the residual stream, in "
        "which the embedding stays.",
        "Text is cut anywhere, so that a position says nothing but how much has been read before.",
    ),
    would_change="A convolutional network of aligned images, such as faces, or a transformer of "
    "words.",
    metrics={
        "position": percent("variance of a unit that its position explains"),
        "position_first": percent("variance of a unit that its position explains, first norm"),
        "position_last": percent("variance of a unit that its position explains, last norm"),
        "sample_last": percent("variance of a unit that the sample explains, last norm"),
        "token": percent("variance of a unit that the token explains"),
        "token_last": percent("variance of a unit that the token explains, last norm"),
    },
)
