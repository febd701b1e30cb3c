"""With batch normalization, learning rates 5 to 10 times larger can be used.

Said by: "Normalization Deep-Dive" and "Batch Normalization, a walkthrough", who ascribe the factor
to Santurkar et al. 2018.
Primary source: that paper's abstract speaks of a smoother landscape and of gradients that allow
faster training, and names no factor; Ioffe & Szegedy 2015 promise "much higher" rates, without one
either in their abstract.
Measured: the largest useful rate of a seed: on a grid of factors of sqrt(2), the largest whose test
accuracy is within 3 points of the seed's best over the grid. The largest stable rate, which
decides: the largest that neither explodes nor stays at the trivial loss. The net of the source is a
VGG: a plain CNN decides, an MLP and a ResNet are scope. Warm-up and clipping are off.
Cost: normlab run bn-lr-5-10x --profile full    420 trials to its first look, 1.4 hours of one core
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.looks import Looks
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Between

NETS = {
    "plain CNN": ("model=plaincnn", "model.depth=5"),
    "MLP": ("model=mlp", "model.depth=8", "model.width=64"),
    "ResNet": ("model=resnet", "model.depth=8", "model.width=8"),
}
# A factor of sqrt(2), fine beside 5 to 10. Wide enough that the largest rate is not the last: on
# other seeds the largest stable one with BN was 2.6 to 5.1, and the largest useful one less.
RATES = {
    "none": tuple(0.02 * 2 ** (k / 2) for k in range(11)),
    "batchnorm": tuple(0.08 * 2 ** (k / 2) for k in range(17)),
}

Passed = NDArray[np.bool_]  # (n, k): seeds by rates


def arm_name(net: str, kind: str, rate: float) -> str:
    return f"{net}, {kind}, {rate:.3g}"


def arms() -> Iterator[Arm]:
    """Every net with and without norm at each of its rates, which none of them tunes."""
    for net, overrides in NETS.items():
        for kind, rates in RATES.items():
            for rate in rates:
                given = (*overrides, f"norm={kind}", f"optim.lr={rate:.3g}")
                yield Arm(arm_name(net, kind, rate), given, tune=False)


def useful(evidence: Evidence, names: Sequence[str]) -> Passed:
    """Which rates come within 3 points of the seed's best test accuracy."""
    accuracy = evidence.table(names)
    passed: Passed = accuracy >= accuracy.max(axis=1, keepdims=True) - 0.03
    return passed


def stable(evidence: Evidence, names: Sequence[str]) -> Passed:
    """Which rates neither explode nor stay at the trivial loss."""
    label = "trained without divergence: 1, or 0"
    # A record's status, and no metric: it is computed for each record.
    columns = [
        evidence.compute(name, label, lambda record: record.status == "ok") for name in names
    ]
    return np.stack(columns, axis=1) > 0


def largest(
    evidence: Evidence, net: str, kind: str, good: Callable[[Evidence, Sequence[str]], Passed]
) -> Values:
    """Natural logarithm (n,) of the largest rate whose trial is `good`; the smallest rate if none
    is."""
    rates = np.array(RATES[kind])
    passed = good(evidence, [arm_name(net, kind, rate) for rate in RATES[kind]])
    # So that a seed without any has a logarithm, the one least in favour of its arm.
    passed[:, 0] |= ~passed.any(axis=1)
    log_rate: Values = np.log((passed * rates).max(axis=1))
    return log_rate


def part(net: str, name: str, good: Callable[[Evidence, Sequence[str]], Passed]) -> Part:
    def log_ratio(evidence: Evidence) -> tuple[Values, Values]:
        bn, none = (largest(evidence, net, kind, good) for kind in ("batchnorm", "none"))
        return bn, -none

    arms = [arm_name(net, kind, rate) for kind, rates in RATES.items() for rate in rates]
    return Part(
        f"{net}, {name}",
        f"the largest {name} rate of the {net} is 5 to 10 times larger with BN",
        Quantity(
            f"largest {name} rate of the {net}, BN over none", "times", log_ratio, tuple(arms)
        ),
        Between(5, 10),
        expected=16.0 if name == "stable" else 3.5,
        noise=0.5,
    )


CLAIM = Claim(
    slug="bn-lr-5-10x",
    statement="Batch normalization allows learning rates 5 to 10 times larger without divergence.",
    documents=("Normalization Deep-Dive", "Batch Normalization, a walkthrough"),
    source="Santurkar et al. 2018 show a smoother landscape; their abstract gives no factor.",
    prediction="partly supported: larger by 10 to 100 in plain nets and by 2 to 5 in residual ones",
    arms=tuple(arms()),
    protocols=tiny_protocols(
        "optim.warmup=0", epochs=3, full_epochs=1, looks=Looks(), full_looks=Looks()
    ),
    clauses=(part("plain CNN", "stable", stable),),
    scope=(
        part("plain CNN", "useful", useful),
        *(
            part(net, name, good)
            for net in ("MLP", "ResNet")
            for name, good in (("useful", useful), ("stable", stable))
        ),
    ),
    answers=Answers(
        supported="With BatchNorm the largest rate at which a plain CNN trains is "
        "{plain CNN, stable.effect:.1f} times as large ({plain CNN, stable.low:.1f} to "
        "{plain CNN, stable.high:.1f}), the largest at which it trains well "
        "{plain CNN, useful.effect:.1f} times.",
        refuted="Not 5 to 10 times: with BatchNorm the largest rate at which a plain CNN trains "
        "is {plain CNN, stable.effect:.1f} times as large ({plain CNN, stable.low:.1f} to "
        "{plain CNN, stable.high:.1f}), the largest at which it trains well "
        "{plain CNN, useful.effect:.1f} times.",
        inconclusive="With BatchNorm the largest rate at which a plain CNN trains is "
        "{plain CNN, stable.effect:.1f} times as large ({plain CNN, stable.low:.1f} to "
        "{plain CNN, stable.high:.1f}): whether 5 to 10 is open.",
    ),
    caveats=(
        "Of scale-invariant weights the gradient falls as they grow, so that BN nets hardly ever "
        "give NaN: a stable rate need not be a useful one.",
        "Rates lie a factor of sqrt(2) apart; the mean over seeds is finer.",
        "Small images and short runs: 8x8 in quick, 16x16 in full.",
        "The factor's attribution is part of the claim and not of this verdict: see the source.",
    ),
    would_change="A ratio inside 5 to 10 of useful rates as well as of stable ones.",
)
