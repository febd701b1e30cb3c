"""How fast BatchNorm's statistics should follow a drift depends on the drift: no one rate fits.

Said by: "How BN, IN and LN differ", which calls it unclear how fast to update under slow drift.
Primary source: none. Schneider et al. 2020 (arXiv 2006.16971) weigh statistics of the source and of
a target that stands still; of a target that moves, no source gives a rate.
Measured: a stream of test images, 8 at a time, whose contrast and brightness go round in 20, 100 or
500 batches. Running statistics are updated by each batch, at a momentum m, before it is predicted.
Of m = 0.003 to 1 the best is read off a parabola through the three best accuracies. Its fall from a
period of 20 to one of 500 decides; what a wrong rate costs is asked in the scope, on batches other
than those that it was chosen by.
Cost: normlab run bn-adapt-rate --profile full    5 trials to its first look, 42 minutes of one core
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.own_rates import with_own_rates
from normlab.claims.quantity import Quantity, metric_difference
from normlab.claims.rules import AtLeast, Between
from normlab.records.measurement import Measurement

NETWORK = "batchnorm"
FAST, SLOW = 20, 500
STREAM_S = 200.0  # of the streams, in full


def trial(options: Options, seed: int) -> Measurement:
    """Accuracy by momentum on drifting streams, see normlab.measure.drift."""
    from normlab.measure.drift import rates_of_adaptation
    from normlab.measure.rates import train_tuned

    setup = train_tuned(options, ("norm=batchnorm",), seed).kept
    metrics = rates_of_adaptation(setup, options["batches"], seed)
    return Measurement(metrics, setup.source)


def protocols() -> Mapping[str, Protocol]:
    """Those of images; 1,250 batches are all test images of CIFAR-10, and two slow periods."""
    usual = with_own_rates(image_protocols(full_epochs=SHORT), seconds=STREAM_S)
    return {
        name: replace(
            protocol, options={**protocol.options, "batches": 30 if name == "smoke" else 1250}
        )
        for name, protocol in usual.items()
    }


def points(metric: str, baseline: str, words: str) -> Quantity:
    """Of the same network on the same batches."""
    return metric_difference(NETWORK, metric, baseline, words=f"accuracy on the stream, {words}")


def costs(period: int) -> tuple[Part, Part, Part]:
    """What the default, the rate of the other drift and no update cost on a stream."""
    chosen, other = f"chosen_{period}_accuracy", FAST + SLOW - period
    return (
        Part(
            f"default, {period}",
            f"at a period of {period} batches the default of 0.1 costs at least 1 point",
            points(
                chosen, f"default_{period}_accuracy", f"period {period}, best momentum - default"
            ),
            AtLeast(1.0),
        ),
        Part(
            f"other, {period}",
            f"and the best rate for a period of {other} at least 1 point",
            points(
                chosen,
                f"for_{other}_{period}_accuracy",
                f"period {period}, its best momentum - that of period {other}",
            ),
            AtLeast(1.0),
        ),
        Part(
            f"worth it, {period}",
            f"at a period of {period} batches an update at the best rate is worth at least 5 "
            "points against none",
            points(chosen, f"fixed_{period}_accuracy", f"period {period}, best momentum - none"),
            AtLeast(5.0),
        ),
    )


NUMBERS = (
    "the best momentum is {rate.effect:.1f} times ({rate.low:.1f} to {rate.high:.1f}) as large for "
    "a drift that comes round in 20 batches as for one of 500; the default of 0.1 costs "
    "{default, 20.effect:.1f} points on the fast one and {default, 500.effect:.1f} on the slow one"
)

CLAIM = Claim(
    slug="bn-adapt-rate",
    statement="Under drift there is no one rate at which BatchNorm's statistics should be updated: "
    "the slower the drift, the lower the best one.",
    documents=("How BN, IN and LN differ",),
    source="None: Schneider et al. 2020 adapt to targets that stand still.",
    prediction="supported: from 0.3 or more at a period of 20 batches to a tenth of it at 500; "
    "but the default costs less than a point on the slow one",
    arms=(Arm(NETWORK),),
    protocols=protocols(),
    trial=trial,
    clauses=(
        Part(
            "rate",
            "the best momentum falls at least threefold as the period grows from 20 to 500 batches",
            metric_difference(
                NETWORK,
                f"log_best_{FAST}",
                f"log_best_{SLOW}",
                words="best momentum for a period of 20 batches, over that for one of 500",
                unit="times",
            ),
            Between(3, inf),
            expected=8.0,
            noise=0.6,
        ),
    ),
    scope=(*costs(FAST), *costs(SLOW)),
    answers=Answers(
        supported="It depends on the drift: " + NUMBERS + ".",
        refuted="The best rate does not fall threefold as the drift slows: " + NUMBERS + ".",
        inconclusive="Whether the best rate falls threefold as the drift slows is open: "
        + NUMBERS
        + ".",
    ),
    caveats=(
        "A drift of contrast and brightness, which statistics of channels can undo; without "
        "clipping, as no camera has it.",
        "Batches of 8, so that noise of the statistics stands against their lag; the larger the "
        "batch, the higher the best momentum at any drift.",
        "A batch is predicted after the update by it, at the price of a second pass.",
        "A best momentum at an end of the grid, 0.003 or 1, stands for what lies beyond.",
    ),
    would_change="A rate that is within a point of the best at every period.",
    metrics={
        **{
            f"log_best_{period}": logarithm(f"best momentum for a drift of period {period}")
            for period in (FAST, SLOW)
        },
        **{
            f"{name}_{period}_accuracy": f"accuracy on a drift of period {period}, {words}"
            for period in (FAST, SLOW)
            for name, words in (
                ("chosen", "best momentum"),
                ("default", "momentum 0.1"),
                ("fixed", "no update"),
                (f"for_{FAST}", f"best momentum of period {FAST}"),
                (f"for_{SLOW}", f"best momentum of period {SLOW}"),
            )
        },
    },
)
