"""One LayerNorm keeps a network's outputs bounded far from its data; without one they grow.

Said by: "Just One Layer Norm Guarantees Stable Extrapolation" (Ziomek et al. 2025).
Primary source: the same paper (arXiv 2505.14512), which proves it of infinitely wide networks with
at least one LayerNorm, by their tangent kernel.
Measured: networks of three hidden layers of 64, fitted to a smooth function on the unit ball of 4
dimensions by Adam, each at the rate of three with the lowest error on samples held out. The
largest output in 256 random directions, 10,000 radii out over at 1. Pilots at seeds 1001 and 1002:
18,000 times without a norm, 12,000 with BatchNorm, 1 to 2 with LayerNorm.
Cost: normlab run one-ln-bounds-extrapolation --profile full    35 trials to its first look, 14
minutes of one core
"""

from math import inf
from typing import Any

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.evidence import Evidence, Values
from normlab.claims.looks import Looks
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between

FAR = 10_000  # radii of the data
TIMES = 10.0  # bounded: no output is so many times the largest on the edge of the data
RATES = (0.001, 0.003, 0.01)
ONE = ("first", "middle", "last")  # hidden layers: where the only norm stands


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest outputs by radius, and the error inside of the data."""
    from normlab.measure.extrapolation import extrapolation

    return extrapolation(options["kind"], options["place"], seed, options["steps"], RATES)


def growth(
    arm: str,
    name: str,
    statement: str,
    *,
    bounded: bool,
    expected: float | None = None,
    noise: float | None = None,
) -> Part:
    def read(evidence: Evidence) -> Values:
        far, edge = (evidence.values(arm, f"largest_{radius}") for radius in (FAR, 1))
        evidence.show(arm, "growth to 10,000 radii", far / edge)
        return np.asarray(np.log(far / edge))

    words = f"largest output of {arm} at 10,000 radii of the data, over that at 1"
    rule = Between(0, TIMES) if bounded else Between(TIMES, inf)
    quantity = Quantity(words, "times", read, (arm,))
    return Part(name, statement, quantity, rule, expected=expected, noise=noise)


def arm(name: str, kind: str, place: str) -> Arm:
    return Arm(name, options={"kind": kind, "place": place})


CLAIM = Claim(
    slug="one-ln-bounds-extrapolation",
    statement="One LayerNorm keeps a network's outputs bounded far from its data, and without one "
    "they grow.",
    documents=("Just One Layer Norm Guarantees Stable Extrapolation (Ziomek et al. 2025)",),
    source="Ziomek et al. 2025: a single LayerNorm bounds the tangent kernel, and with it an "
    "infinitely wide network's outputs, at any input.",
    prediction="supported: behind one LayerNorm the scale of the input is gone",
    arms=(
        arm("no norm", "none", "all"),
        *(arm(f"layernorm {place}", "layernorm", place) for place in ONE),
        arm("layernorm all", "layernorm", "all"),
        arm("batchnorm all", "batchnorm", "all"),
        arm("rmsnorm first", "rmsnorm", "first"),
    ),
    protocols={
        "smoke": Protocol(options={"steps": 5}, looks=Looks((1,)), seconds_per_trial=0.1),
        "quick": Protocol(options={"steps": 1000}, seconds_per_trial=8.0),
        "full": Protocol(options={"steps": 3000}, seconds_per_trial=24.0),
    },
    trial=trial,
    clauses=(
        growth(
            "layernorm first",
            "layernorm",
            "with one LayerNorm, in the first hidden layer, outputs at 10,000 radii are no 10 "
            "times those at 1",
            bounded=True,
            expected=2.0,
            noise=0.3,
        ),
        growth(
            "no norm",
            "no norm",
            "without a norm they are more than 10 times as large",
            bounded=False,
            expected=15_000.0,
            noise=0.3,
        ),
    ),
    scope=(
        *(
            growth(
                f"layernorm {place}",
                place,
                f"bounded with the one LayerNorm in the {place} hidden layer, too",
                bounded=True,
            )
            for place in ONE[1:]
        ),
        growth("layernorm all", "all", "and with one in each", bounded=True),
        growth("rmsnorm first", "rmsnorm", "bounded with one RMSNorm, too", bounded=True),
        growth(
            "batchnorm all",
            "batchnorm",
            "with BatchNorm in each they are more than 10 times as large",
            bounded=False,
        ),
    ),
    answers=Answers(
        supported="With one LayerNorm a network's outputs 10,000 radii from its data are "
        "{layernorm.effect:.1f} times those at the edge ({layernorm.low:.1f} to "
        "{layernorm.high:.1f}), without a norm {no norm.effect:,.0f} times, with BatchNorm "
        "{batchnorm.effect:,.0f} times; one RMSNorm does it, too ({rmsnorm.effect:.1f}).",
        refuted="Not so: 10,000 radii from the data outputs are {layernorm.effect:.1f} times "
        "those at the edge with one LayerNorm, and {no norm.effect:,.1f} times without a norm.",
        partly="One of both: 10,000 radii from the data outputs are {layernorm.effect:,.1f} times "
        "those at the edge with one LayerNorm ({layernorm.low:,.1f} to {layernorm.high:,.1f}), and "
        "{no norm.effect:,.1f} times without a norm ({no norm.low:,.1f} to {no norm.high:,.1f}).",
        inconclusive="10,000 radii from the data outputs are {layernorm.effect:,.1f} times those "
        "at the edge with one LayerNorm, and {no norm.effect:,.1f} times without a norm: not both "
        "are decided.",
    ),
    caveats=(
        "Bounded is not right: with LayerNorm the outputs far away are constant along a ray, and "
        "say nothing of the function there.",
        "ReLU, which grows without a bound; a network that ends in a bounded activation needs no "
        "norm for this.",
        "Without residual connections around the norm: a skip past it carries the input's scale "
        "on.",
    ),
    would_change="A network whose output has a way past its norms, such as a skip connection.",
    metrics={
        "largest_1": "largest output at the edge of the data",
        f"largest_{FAR}": "largest output at 10,000 radii of the data",
        "growth to 10,000 radii": "largest output at 10,000 radii of the data, over that at 1",
    },
)
