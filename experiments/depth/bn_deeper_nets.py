"""Batch normalization lets much deeper networks train.

Said by: "Normalization Deep-Dive" and "Batch Normalization, a walkthrough", with ResNet-152 as the
example; that net has skips as well.
Primary source: to the contrary, Yang et al. 2019, who find that batch normalization itself makes
gradients explode, so that nets with it and without skips are not trainable at large depths (arXiv
1902.08129, abstract).
Measured: three families at He's initial scale, each seed at a rate of its own. A net trains if it
gets half of what the shallowest net without norm of its family gains over chance. The catalogue has
90 % of the arm's own 10 layers instead; in a short budget (1,400 steps, 234 in quick) that measures
how much slower a deep net is, and asks more of the norm that is better at 10 layers. What counts is
the deepest net that trains, per seed, as doublings of depth, BN over none. The documents speak of
convolutional nets: MLPs are scope.
Cost: normlab run bn-deeper-nets --profile full    270 trials to its first look, 1.8 hours of one
core
"""

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.evidence import Evidence, PartMissing, Values
from normlab.claims.looks import Looks
from normlab.claims.protocols.images import tiny_protocols
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast

CHANCE = 0.1
FAMILIES = {
    "plain CNN": (("model=plaincnn",), (10, 20, 40)),
    "MLP": (("model=mlp", "model.width=64"), (10, 20, 40)),
    "ResNet": (("model=resnet", "model.width=8"), (8, 20, 44)),
}


def log2_deepest(accuracy: Values, bar: float, depths: tuple[int, ...]) -> Values:
    """(n, depths) -> (n,) of the deepest net that reaches `bar`; the shallowest if none does."""
    trains = accuracy >= bar
    # So that a seed in which no depth trains has a logarithm, and counts as the shallowest.
    trains[:, 0] = True
    return np.asarray(np.log2((trains * np.array(depths)).max(axis=1)))


def doublings(family: str) -> Quantity:
    """log2 (n,) of the deepest net that trains with BN over the deepest without."""
    depths = FAMILIES[family][1]

    def names(kind: str) -> tuple[str, ...]:
        return tuple(f"{family} {depth}, {kind}" for depth in depths)

    def read(evidence: Evidence) -> tuple[Values, Values]:
        bn, none = (evidence.table(names(kind)) for kind in ("batchnorm", "none"))
        # One bar for all depths, both norms and all seeds, so that arms stay independent.
        bar = CHANCE + (none[:, 0].mean() - CHANCE) / 2
        if bar < CHANCE + 0.025:
            raise PartMissing(f"{family}: the shallowest net without norm does not train")
        # Where all three depths train without a norm, none could train at twice the depth.
        if (none[:, -1] >= bar).mean() > 0.5:
            deepest = depths[-1]
            raise PartMissing(
                f"{family}: most nets without norm train at {deepest} layers, the deepest here"
            )
        return log2_deepest(bn, bar, depths), -log2_deepest(none, bar, depths)

    layers = ", ".join(map(str, depths))
    words = f"depth of the deepest net, of {layers} layers, that trains, BN over none"
    return Quantity(words, "doublings", read, (*names("batchnorm"), *names("none")))


def part(family: str, noise: float) -> Part:
    return Part(
        family,
        f"the deepest {family} that trains is at least twice as deep with BN",
        doublings(family),
        # Depths double: a twofold depth is exactly 1, which a bound of 1 could not show.
        AtLeast(0.99),
        expected=1.5,
        noise=noise,
        stands_for="152 layers",
    )


def arm(family: str, depth: int, kind: str) -> Arm:
    overrides = (*FAMILIES[family][0], f"model.depth={depth}", f"norm={kind}")
    return Arm(f"{family} {depth}, {kind}", overrides)


CLAIM = Claim(
    slug="bn-deeper-nets",
    statement="Batch normalization makes much deeper networks trainable.",
    documents=("Normalization Deep-Dive", "Batch Normalization, a walkthrough"),
    source="Yang et al. 2019: with batch normalization and without skips, nets are not trainable "
    "at large depths.",
    prediction="partly supported: it helps at 20 to 40 layers; the depth of ResNets came with "
    "their skips",
    arms=tuple(
        arm(family, depth, kind)
        for family, (_, depths) in FAMILIES.items()
        for depth in depths
        for kind in ("none", "batchnorm")
    ),
    protocols=tiny_protocols(
        epochs=3, rates=(0.01, 0.03, 0.1), full_epochs=2, looks=Looks(), full_looks=Looks()
    ),
    clauses=(part("plain CNN", 0.4), part("ResNet", 0.7)),
    scope=(part("MLP", 0.5),),
    answers=Answers(
        supported="With BatchNorm the deepest net that trains is deeper by {plain CNN.effect:.1f} "
        "doublings ({plain CNN.low:.1f} to {plain CNN.high:.1f}) in plain CNNs and "
        "{ResNet.effect:.1f} in ResNets; in MLPs by {MLP.effect:+.1f}.",
        refuted="BatchNorm does not double the depth that trains: {plain CNN.effect:+.1f} "
        "doublings ({plain CNN.low:.1f} to {plain CNN.high:.1f}) in plain CNNs, "
        "{ResNet.effect:+.1f} in ResNets.",
        partly="It depends on the net: BatchNorm changes the depth that trains by "
        "{plain CNN.effect:+.1f} doublings in plain CNNs and by {ResNet.effect:+.1f} in ResNets; "
        "in MLPs by {MLP.effect:+.1f}.",
        inconclusive="BatchNorm changes the depth that trains by {plain CNN.effect:+.1f} "
        "doublings ({plain CNN.low:.1f} to {plain CNN.high:.1f}) in plain CNNs and by "
        "{ResNet.effect:+.1f} ({ResNet.low:.1f} to {ResNet.high:.1f}) in ResNets: whether both at "
        "least 1 is open.",
    ),
    caveats=(
        "Deepest means deepest of three: a family that trains at all three could go deeper.",
        "Small images and small nets in short runs: 8x8 in quick, 16x16 in full; skips without a "
        "norm are at He's scale, not at one made for them.",
    ),
    would_change="A plain BN net of 40 layers that trains where one without norm does not, or the "
    "reverse.",
)
