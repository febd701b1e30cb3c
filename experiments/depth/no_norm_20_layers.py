"""Without normalization a network of 20 layers needs a tiny rate, warm-up and careful weights.

Said by: "Normalization Deep-Dive".
Primary source: He et al. 2015 (Delving Deep into Rectifiers), who train plain networks of 22 and 30
layers without batch norm, at an initial scale made for ReLU; VGG-19 is another (2014).
Measured: plain CNNs of 20 convolutions without skips, on small images of CIFAR-10, every seed at a
rate of its own, without warm-up. It decides whether most nets without a norm at He's scale, which
every library has ready-made for ReLU, get to 90 % of the accuracy of the same net with BN: if they
do, neither warm-up nor more care is needed. One that does not train does not get there. Scope is
the same at the scale of torch's layers as they are, whose standard deviation is 0.41 of He's, the
same with warm-up, and at a rate of 0.03, which is not tiny: it lies inside the grid of either.
Cost: normlab run no-norm-20-layers --profile full    65 trials to its first look, 52 minutes of one
core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.contrasts import contrast, weighted
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.quantity import Quantity, trains
from normlab.claims.rules import AtLeast, Rate

SHARE = 0.9  # of BN's accuracy, the catalogue's
TORCH_GAIN = 0.41  # sqrt(1/6): torch draws with a variance of 1/3 of 1 / fan-in, He with 2
NET = ("model=plaincnn", "model.depth=20")
BATCHNORM, HE, TORCH, WARM, RATE = (
    "batchnorm",
    "none",
    "none, torch's scale",
    "none, warm-up",
    "none, rate 0.03",
)


def short_of(name: str, statement: str, arm: str) -> Part:
    """Points by which an arm lacks 90 % of BN's test accuracy: more than 0 is what is claimed."""
    words = f"test accuracy: {SHARE:g} times that of BN - that of {arm}"
    weights = {BATCHNORM: SHARE, arm: -1.0}
    return Part(name, statement, contrast(weighted("test_accuracy", weights), words), AtLeast(0.0))


def falls_short(arm: str) -> Quantity:
    """By seed, 1 where a net, trained or not, stays below 90 % of BN's mean accuracy."""

    def read(evidence: Evidence) -> Values:
        needed = SHARE * evidence.sample(BATCHNORM).mean()
        return np.asarray(evidence.values(arm) < needed).astype(float)

    words = f"nets whose test accuracy is below {SHARE:g} times the mean of BN, {arm}"
    return Quantity(words, "of the seeds", read, (arm, BATCHNORM))


CLAIM = Claim(
    slug="no-norm-20-layers",
    statement="Without normalization a network of 20 layers trains badly, unless its rate is tiny, "
    "it is warmed up and its weights are set with care.",
    documents=("Normalization Deep-Dive",),
    source="He et al. 2015 train plain networks of 22 and 30 layers without batch norm, at an "
    "initial scale that they derive for it.",
    prediction="refuted, or inconclusive: He's scale and a rate of its own are enough for 90 %",
    arms=(
        Arm(BATCHNORM, (*NET, "norm=batchnorm"), at={"norm": "batchnorm"}),
        Arm(HE, (*NET, "norm=none"), at={"norm": "none"}),
        Arm(TORCH, (*NET, "norm=none", f"model.init_gain={TORCH_GAIN:g}")),
        Arm(WARM, (*NET, "norm=none", "optim.warmup=0.1")),
        Arm(RATE, (*NET, "norm=none", "optim.lr=0.03"), tune=False),
    ),
    first_seed=200,  # the clause before left out nets that do not train
    protocols=tiny_protocols(
        "optim.warmup=0", epochs=3, rates=(0.01, 0.03, 0.1), full_epochs=4, gpu_epochs=30
    ),
    clauses=(
        Part(
            "fall short",
            "at He's scale, without warm-up, most nets without a norm stay below 90 % of BN's "
            "accuracy",
            falls_short(HE),
            Rate(0.5),
        ),
    ),
    scope=(
        short_of("He's scale", "of those that train, the mean does so, too", HE),
        short_of("torch's scale", "so it does at the scale of torch's layers", TORCH),
        short_of("warm-up", "so it does at He's scale with warm-up", WARM),
        short_of("fixed rate", "so it does at He's scale at a rate of 0.03", RATE),
        Part(
            "trains",
            "at He's scale, without warm-up, most nets without a norm get above a guess",
            trains(HE),
            Rate(0.5),
        ),
    ),
    answers=Answers(
        supported="Of plain nets of 20 layers without a norm, at He's scale and a rate of their "
        "own without warm-up, {fall short.effect:.0%} stay below 90 % of BatchNorm's accuracy "
        "({fall short.low:.0%} to {fall short.high:.0%}), and {trains.effect:.0%} train at all.",
        refuted="He's initial scale is enough: of plain nets of 20 layers without a norm or "
        "warm-up only {fall short.effect:.0%} stay below 90 % of BatchNorm's accuracy "
        "({fall short.low:.0%} to {fall short.high:.0%}).",
        inconclusive="Whether most plain nets of 20 layers without a norm or warm-up get to 90 % "
        "of BatchNorm's accuracy is open: {fall short.effect:.0%} stay below it "
        "({fall short.low:.0%} to {fall short.high:.0%}), and {trains.effect:.0%} train at all.",
    ),
    caveats=(
        "Small images and short runs, 8x8 in quick and 16x16 in full: BN is faster, and longer "
        "runs bring both nearer to each other.",
        "That a net without a norm diverges within 100 steps is another sentence of the document.",
    ),
    would_change="A net of 20 layers at He's scale that none of the rates brings near BN's "
    "accuracy.",
)
