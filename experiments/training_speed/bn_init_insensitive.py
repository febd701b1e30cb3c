"""Batch normalization makes networks less sensitive to their initial weights.

Said by: "How BN, IN and LN differ" and "Batch Normalization, a walkthrough".
Primary source: Ioffe & Szegedy 2015, whose abstract says that it allows to "be less careful about
initialization".
Measured: the initial weights of every layer but the last are He's times a gain from 0.03 to 30.
Each gain is trained at a learning rate of its own, so that a gain is not blamed for the step size
that it implies. The width is the number of half-decades of gain whose accuracy is within 5 points
of the arm's best, per seed. Seven gains: no width is above 3.5 decades.
Cost: normlab run bn-init-insensitive --profile full    210 trials to its first look, 1.4 hours of
one core
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast

GAINS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def names(kind: str) -> list[str]:
    return [f"{kind} {gain:g}" for gain in GAINS]


def arm(kind: str, gain: float) -> Arm:
    """A plain CNN of that norm, whose initial weights are multiplied by the gain."""
    net = ("model=plaincnn", "model.depth=5", f"norm={kind}", f"model.init_gain={gain:g}")
    return Arm(f"{kind} {gain:g}", net)


def width(evidence: Evidence, kind: str) -> Values:
    """Decades (n,) of gains that train to within 5 points of the best one."""
    accuracy = evidence.table(names(kind))
    good = accuracy >= accuracy.max(axis=1, keepdims=True) - 0.05
    # Gains are half a decade apart.
    decades: Values = 0.5 * good.sum(axis=1)
    return decades


CLAIM = Claim(
    slug="bn-init-insensitive",
    statement="Batch normalization makes a network less sensitive to the scale of its initial "
    "weights.",
    documents=("How BN, IN and LN differ", "Batch Normalization, a walkthrough"),
    source="Ioffe & Szegedy 2015: batch normalization allows to be less careful about "
    "initialization.",
    prediction="supported: wider by 2 decades or more",
    arms=tuple(arm(kind, gain) for kind in ("none", "batchnorm") for gain in GAINS),
    protocols=tiny_protocols(epochs=3, rates=(0.03, 0.1, 0.3), full_epochs=2),
    clauses=(
        Part(
            "width",
            "the gains that train well span a decade more with BN than without",
            Quantity(
                "width of the gains whose test accuracy is within 5 points of the best gain's, BN "
                "- none",
                "decades",
                lambda evidence: (width(evidence, "batchnorm"), -width(evidence, "none")),
                (*names("batchnorm"), *names("none")),
            ),
            AtLeast(1.0),
            expected=2.0,
            noise=0.5,
        ),
    ),
    answers=Answers(
        supported="With BatchNorm the initial scales that train well span {width.effect:.1f} "
        "decades ({width.low:.1f} to {width.high:.1f}) more than without a norm.",
        refuted="With BatchNorm the initial scales that train well span {width.effect:+.1f} "
        "decades ({width.low:.1f} to {width.high:.1f}) more than without a norm: less than 1.",
        inconclusive="With BatchNorm the initial scales that train well span {width.effect:+.1f} "
        "decades ({width.low:.1f} to {width.high:.1f}) more than without a norm: whether 1 is "
        "open.",
    ),
    caveats=(
        "The last linear layer is not normalized, and its initial scale is not varied.",
        "With BN the scale of a weight is no scale of the function; it still divides the learning "
        "rate by its square.",
        "Small images and short runs, 8x8 in quick and 16x16 in full: it is the start of a "
        "training that an initial scale decides.",
        "Rates among which no net trains are not told apart.",
    ),
    would_change="A net without norm that trains as well over as many decades.",
)
