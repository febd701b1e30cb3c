"""In fully connected networks with large batches BatchNorm is better than LayerNorm.

Said by: "Differences between Batch, Layer, Group and Instance Norm", which names MLPs with large
batches among what BatchNorm is for.
Primary source: none of MLPs with large batches. Ioffe & Szegedy 2015 (arXiv 1502.03167), section
4.1, have an MLP on MNIST, 60 samples a batch, against no norm; Ba et al. 2016 (arXiv 1607.06450)
one with batches of 128 and of 4, in which LayerNorm converges faster.
Measured: test accuracy of an MLP of three hidden layers of 256 on CIFAR-10, batches of 512, each
seed of each norm at a rate of its own. By at least half a point above LayerNorm decides. No norm,
and BatchNorm whose statistics are of 8 samples, are asked in the scope.
Cost: normlab run bn-large-batch-mlp --profile full    80 trials to its first look, 1.9 hours of one
core
"""

from collections.abc import Mapping
from dataclasses import replace

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.figure import Curve
from normlab.claims.protocols.images import image_protocols
from normlab.claims.quantity import difference
from normlab.claims.rules import AtLeast, Within

EPOCHS, CHOICE, EPOCH_S = 16, 4, 12.0  # CHOICE: epochs by which a rate is chosen


def protocols() -> Mapping[str, Protocol]:
    """Those of images, of an MLP: an epoch takes a quarter of a CNN's."""
    usual = image_protocols(
        "model=mlp",
        "model.width=256",
        "data.batch_size=512",
        epochs=40,
        full_epochs=EPOCHS,
        choice_epochs=CHOICE,
    )
    smoke, full = usual["smoke"], usual["full"]
    # Its 128 digits make no batch of 512.
    usual["smoke"] = replace(smoke, overrides=(*smoke.overrides, "data.batch_size=64"))
    usual["full"] = replace(
        full, seconds_per_trial=EPOCHS * EPOCH_S, seconds_per_choice=CHOICE * EPOCH_S
    )
    usual["quick"] = replace(usual["quick"], seconds_per_trial=15.0, seconds_per_choice=8.0)
    return usual


NUMBERS = (
    "in an MLP with batches of 512 BatchNorm has {layernorm.effect:+.2f} points of accuracy "
    "({layernorm.low:+.2f} to {layernorm.high:+.2f}) against LayerNorm, and {none.effect:+.2f} "
    "against no norm"
)

CLAIM = Claim(
    slug="bn-large-batch-mlp",
    statement="BatchNorm suits fully connected networks that are trained with large batches.",
    documents=("Differences between Batch, Layer, Group and Instance Norm",),
    source="Ioffe & Szegedy 2015: an MLP on MNIST learns faster than without a norm; Ba et al. "
    "2016: there LayerNorm converges faster still.",
    prediction="inconclusive (the catalogue): about half a point above LayerNorm",
    arms=(
        Arm("batchnorm", ("norm=batchnorm",), at={"norm": "batchnorm"}),
        Arm("layernorm", ("norm=layernorm",), at={"norm": "layernorm"}),
        Arm("none", ("norm=none",), at={"norm": "none"}),
        Arm("batchnorm 8", ("norm=batchnorm", "norm.ghost_batch=8"), at={"norm": "batchnorm 8"}),
    ),
    protocols=protocols(),
    clauses=(
        Part(
            "layernorm",
            "with batches of 512 BatchNorm is at least half a point above LayerNorm",
            difference("batchnorm", "layernorm", words="test accuracy of an MLP, BN - LN"),
            AtLeast(0.5),
            expected=1.5,
            noise=0.6,
        ),
    ),
    scope=(
        Part(
            "equal",
            "BatchNorm and LayerNorm are within half a point of each other",
            difference("batchnorm", "layernorm", words="test accuracy of an MLP, BN - LN"),
            Within(0.5),
        ),
        Part(
            "none",
            "BatchNorm is at least half a point above no norm",
            difference("batchnorm", "none", words="test accuracy of an MLP, BN - no norm"),
            AtLeast(0.5),
        ),
        Part(
            "large",
            "statistics of 512 samples are at least half a point above statistics of 8",
            difference(
                "batchnorm",
                "batchnorm 8",
                words="test accuracy of an MLP, BN over 512 samples - over 8",
            ),
            AtLeast(0.5),
        ),
        Part(
            "small",
            "with statistics of 8 samples, too, BatchNorm is at least half a point above LayerNorm",
            difference(
                "batchnorm 8", "layernorm", words="test accuracy of an MLP, BN over 8 samples - LN"
            ),
            AtLeast(0.5),
        ),
    ),
    answers=Answers(
        supported="BatchNorm is the better one: " + NUMBERS + ".",
        refuted="BatchNorm is not half a point above LayerNorm: " + NUMBERS + ".",
        inconclusive="Whether BatchNorm is half a point above LayerNorm is open: " + NUMBERS + ".",
    ),
    caveats=(
        "Images as rows of pixels, in random crops and mirrored; tables may differ from them.",
        "Statistics of 8 samples in SGD batches of 512, so that nothing else changes.",
        "The noise of small batches regularizes: that can make 8 samples better than 512.",
    ),
    would_change="Tabular data whose columns are of unlike scale.",
    figure=Curve("train_loss"),
)
