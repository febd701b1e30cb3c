"""BatchNorm unlocked depth and made ResNet-152 possible.

Said by: "Normalization Deep-Dive", with tuning that became easy; bn-init-insensitive and
bn-lr-5-10x decide that half, not this file.
Primary source: He et al. 2015 (arXiv 1512.03385), read in a stored copy of its text.
- Section 3.4: BN right after each convolution, in plain and residual nets alike.
- Table 2, top-1 error on ImageNet: plain 27.94 % at 18 layers and 28.54 % at 34; with skips 27.88 %
  and 25.03 %. Table 3: ResNet-34 B 24.52, -50 22.85, -101 21.75, -152 21.43 %.
- Section 4.1 holds vanishing gradients for an unlikely reason, since the plain nets have BN and the
  norms of their gradients are healthy. Section 4.2, Figures 1 and 6: on CIFAR-10, too, 56 plain
  layers are worse than 20, and 110 have more than 60 % error. Table 6, ResNets: 8.75 % at 20
  layers, 7.51 at 32, 7.17 at 44, 6.97 at 56, 6.43 at 110.
- Section 1 credits initialization and normalization layers with nets of tens of layers that start
  to converge, and residual learning with what comes after.
- Zhang et al. 2019 (Fixup, arXiv 1901.09321), abstract: residual nets without normalization train
  as stably, even with 10,000 layers.
Measured: provenance: decided by what the source states, nothing is trained. Clause: BN alone, in
plain nets, makes the deeper one the better one; the source's two data sets are both meant. Scope:
BN with skips, what the source credits normalization with, and whether BN is needed.
bn-deeper-nets trains such nets, at a small size.
Cost: normlab run unlocked-152 --profile full    1 trial, a second of one core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import Listed

# Error in % of a shallower net and of a deeper one, both with BN and skips; read once.
WITH_SKIPS = {
    "ImageNet, 18 to 34 layers": (27.88, 25.03),
    "ImageNet, 34 to 50 layers": (24.52, 22.85),
    "ImageNet, 50 to 101 layers": (22.85, 21.75),
    "ImageNet, 101 to 152 layers": (21.75, 21.43),
    "CIFAR-10, 20 to 56 layers": (8.75, 6.97),
    "CIFAR-10, 56 to 110 layers": (6.97, 6.43),
}
# Plain nets with BN: on ImageNet 27.94 to 28.54 %; of CIFAR-10 the source has curves, no numbers.
PLAIN = {
    "ImageNet, plain, 18 to 34 layers": 27.94 - 28.54,
    "CIFAR-10, plain, 20 to 56 layers": -1.0,
}
# 1 for yes, 0 for no.
STATED = {
    "normalization credited with tens of layers": 1.0,
    "no net without normalization of 152 layers or more": 0.0,
}


def trial(options: Options, seed: int) -> dict[str, float]:
    """By how much, in points of error, the deeper net is better; the sign alone for CIFAR-10's
    plain nets; and what is stated."""
    gains = {name: shallow - deep for name, (shallow, deep) in WITH_SKIPS.items()}
    return {**PLAIN, **gains, **STATED}


def part(name: str, statement: str, words: str, metrics: tuple[str, ...]) -> Part:
    """Whether every one of `metrics` is above 0 in the one trial."""

    def read(evidence: Evidence) -> Values:
        values = [evidence.values("stated", metric)[0] for metric in metrics]
        return np.array([value > 0 for value in values], dtype=float)

    quantity = Quantity(f"{words}, of {len(metrics)} stated", "of the list", read, ("stated",))
    return Part(name, statement, quantity, Listed(metrics, 1.0))


CLAIM = Claim(
    slug="unlocked-152",
    statement="BatchNorm unlocked depth and made ResNet-152 possible.",
    documents=("Normalization Deep-Dive",),
    source="He et al. 2015: with BN, 34 plain layers have 28.54 % error and 18 have 27.94; with "
    "skips 25.03 and 27.88, and 152 layers 21.43.",
    prediction="refuted: BN alone did not, residual learning together with BN did",
    arms=(Arm("stated"),),
    protocols=direct_protocols(1, 0.01),
    trial=trial,
    clauses=(
        part(
            "BN alone",
            "with BN and without skips a deeper net has less error in the source",
            "pairs of plain nets of which the deeper is better",
            tuple(PLAIN),
        ),
    ),
    scope=(
        part(
            "BN and skips",
            "with BN and skips a deeper net has less error in the source, up to 152 layers",
            "pairs of residual nets of which the deeper is better",
            tuple(WITH_SKIPS),
        ),
        part(
            "credited",
            "the source credits normalization with nets of tens of layers that start to converge",
            "whether it does",
            ("normalization credited with tens of layers",),
        ),
        part(
            "needed",
            "no source reports residual nets of 152 layers or more that train without a norm",
            "whether none does",
            ("no net without normalization of 152 layers or more",),
        ),
    ),
    answers=Answers(
        supported="In the source deeper plain nets with BatchNorm have less error.",
        refuted="Not BatchNorm by itself: in the source 34 plain layers with it have more error "
        "than 18 (28.54 against 27.94 %); with skips they have less (25.03 against 27.88 %), and "
        "152 layers 21.43 %. Normalization is credited there with tens of layers that start to "
        "converge.",
    ),
    caveats=(
        "ResNet-152 has BN after each convolution: the source has no row of it without BN, and "
        "does not show that skips alone would have done.",
        "That BN ended the tuning is not decided here; the source warms up the learning rate of "
        "its 110-layer ResNet, since 0.1 is too large at first.",
        "Differences of 0.6 points are of single trainings.",
    ),
    would_change="A table of the source in which deeper plain nets with BN have less error.",
    first_seed=0,
    metrics={
        **{name: f"{name}, with skips: fall of the error, points" for name in WITH_SKIPS},
        "ImageNet, plain, 18 to 34 layers": (
            "ImageNet, plain, 18 to 34 layers: fall of the error, points"
        ),
        "CIFAR-10, plain, 20 to 56 layers": (
            "CIFAR-10, plain, 20 to 56 layers: fall of the error, sign alone"
        ),
        **{name: f"{name}, 1 (yes) or 0 (no)" for name in STATED},
    },
)
