"""With batch normalization, learning rates 5 to 10 times larger can be used.

Said by: "Normalization Deep-Dive" and "Batch Normalization, a walkthrough", who ascribe the factor to Santurkar et al.
2018. That paper's abstract speaks of a smoother landscape and of gradients that allow faster training, and names no
factor; Ioffe & Szegedy 2015 promise "much higher" rates, without one either in their abstract.
The largest useful rate of a seed: on a grid of factors of 2, the largest whose test accuracy is within 3 points of the
seed's best over the grid. The catalogue has 1 point, but 2,000 test images alone make two accuracies differ by as much.
The largest stable rate: the largest that neither explodes nor stays at the trivial loss. Warm-up and clipping are off.

    normlab run bn-lr-5-10x --profile cpu        about 2 minutes on 2 cores
"""

import numpy as np

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.rules import ratio_in_interval

NETS = {
    "plain CNN": ("model=plaincnn", "model.depth=5"),
    "MLP": ("model=mlp", "model.depth=8", "model.width=64"),
    "ResNet": ("model=resnet", "model.depth=8", "model.width=8"),
}
RATES = {  # wide enough, on other seeds, that the largest useful rate is neither the first nor the last
    "none": tuple(0.02 * 2**k for k in range(6)),
    "batchnorm": tuple(0.08 * 2**k for k in range(7)),
}


def largest(evidence, net, kind, good):
    """Natural logarithm (n,) of the largest rate whose trial is `good`; the smallest rate if none is."""
    rates = np.array(RATES[kind])
    passed = good(evidence, [f"{net}, {kind}, {rate:g}" for rate in rates])
    passed[:, 0] |= ~passed.any(axis=1)
    return np.log((passed * rates).max(axis=1))


def useful(evidence, arms):
    accuracy = evidence.table(arms)
    return accuracy >= accuracy.max(axis=1, keepdims=True) - 0.03


def stable(evidence, arms):
    return (
        np.stack(
            [evidence.compute(arm, lambda record: record.status == "ok") for arm in arms], axis=1
        )
        > 0
    )


def part(net, name, good):
    return Part(
        f"{net}, {name}",
        f"the largest {name} rate of the {net} is 5 to 10 times larger with BN",
        "ratio of the largest rates: supported inside 5 to 10, partly above 2, refuted below 2",
        lambda evidence: ratio_in_interval(
            largest(evidence, net, "batchnorm", good) - largest(evidence, net, "none", good),
            5,
            10,
            (2, np.inf),
        ),
    )


CLAIM = Claim(
    slug="bn-lr-5-10x",
    statement="Batch normalization allows learning rates 5 to 10 times larger without divergence.",
    documents=("Normalization Deep-Dive", "Batch Normalization, a walkthrough"),
    source="Santurkar et al. 2018 show a smoother landscape; their abstract gives no factor.",
    prediction="partly supported: larger by 10 to 100 in plain nets and by 2 to 5 in residual ones",
    arms=tuple(
        Arm(
            f"{net}, {kind}, {rate:g}",
            (*overrides, f"norm={kind}", f"optim.lr={rate:g}"),
            tune=False,
        )
        for net, overrides in NETS.items()
        for kind, rates in RATES.items()
        for rate in rates
    ),
    protocols=tiny_protocols("optim.warmup=0", epochs=3),
    parts=tuple(
        part(net, name, good)
        for net in NETS
        for name, good in (("useful", useful), ("stable", stable))
    ),
    caveats=(
        "Of scale-invariant weights the gradient falls as they grow, so that BN nets hardly ever give NaN: "
        "a stable rate need not be a useful one.",
        "A ratio between two rates of a grid of factors of 2 is coarse; the mean over seeds is less so.",
        "The factor's attribution is part of the claim and not of this verdict: see the source.",
    ),
    would_change="A ratio below 2 or inside 5 to 10 in every net.",
)
