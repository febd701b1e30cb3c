"""Refreshing BatchNorm's statistics on unlabelled data of the target domain mitigates the shift.

Said by: "How BN, IN and LN differ".
Primary source: Schneider et al. 2020 (arXiv 2006.16971, abstract: ImageNet-C, mean corruption error
76.7 % to 62.2 % with full adaptation); Niu et al. 2023 (SAR) on where it fails: small batches,
mixed shifts, label imbalance.
Measured: each group of N images of a corrupted stream is predicted with its own statistics. Streams
on which it may fail are named before the run: scope, with the same rule.
Cost: normlab run bn-adapt-running-stats --profile full    20 trials to its first look, 1.2 hours of
one core; 15 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import SHORT, image_protocols, inference_arm
from normlab.claims.quantity import Quantity
from normlab.claims.rules import AtLeast


def share_recovered(stream: str, adapted: str, unadapted: str = "corrupted_accuracy") -> Quantity:
    """Per cent (n,) of the lost accuracy that adaptation brings back, in each network."""

    def read(evidence: Evidence) -> Values:
        shifted = evidence.values("batchnorm", unadapted)
        won = evidence.values("batchnorm", adapted) - shifted
        # Every network loses far more than the noise of its own loss.
        share: Values = 100 * won / (evidence.values("batchnorm", "test_accuracy") - shifted)
        return share

    words = f"accuracy adapted to {stream}, (adapted - corrupted) / (clean - corrupted)"
    return Quantity(words, "% of the loss", read, ("batchnorm",))


CLAIM = Claim(
    slug="bn-adapt-running-stats",
    statement="Refreshing BatchNorm's statistics on unlabelled target data wins back accuracy lost "
    "to domain shift.",
    documents=("How BN, IN and LN differ",),
    source="Schneider et al. 2020: 76.7 to 62.2 % mean corruption error; Niu et al. 2023 name "
    "streams where it fails.",
    prediction="partly supported: 30 % or more with 256 images of one corruption, a loss in the "
    "other cells",
    arms=(inference_arm("batchnorm"),),
    protocols=image_protocols(full_epochs=SHORT, evaluations_s=600),
    clauses=(
        Part(
            "256 images",
            "with 256 images of one corruption in random order, 30 % of the lost accuracy comes "
            "back",
            share_recovered("256 images of one corruption", "adapted_256_accuracy"),
            AtLeast(30.0),
            expected=46.0,
            noise=8.0,
        ),
    ),
    scope=(
        Part(
            "4 images",
            "the same holds with 4 images",
            share_recovered("4 images of one corruption", "adapted_4_accuracy"),
            AtLeast(30.0),
        ),
        Part(
            "1 image",
            "the same holds with 1 image",
            share_recovered("1 image", "adapted_1_accuracy"),
            AtLeast(30.0),
        ),
        Part(
            "sorted",
            "the same holds with 256 images of a stream sorted by class",
            share_recovered("256 images of a stream sorted by class", "adapted_sorted_accuracy"),
            AtLeast(30.0),
        ),
        Part(
            "mixed",
            "the same holds with 256 images that mix all corruptions",
            share_recovered(
                "256 images that mix all corruptions", "adapted_mixed_accuracy", "mixed_accuracy"
            ),
            AtLeast(30.0),
        ),
    ),
    answers=Answers(
        supported="With the statistics of 256 unlabelled images of one corruption "
        "{256 images.effect:.0f} % of the lost accuracy returns ({256 images.low:.0f} to "
        "{256 images.high:.0f}); with 4 images {4 images.effect:.0f} %, on a stream sorted by "
        "class {sorted.effect:.0f} %, on mixed corruptions {mixed.effect:.0f} %.",
        refuted="With the statistics of 256 unlabelled images of one corruption only "
        "{256 images.effect:.0f} % of the lost accuracy returns ({256 images.low:.0f} to "
        "{256 images.high:.0f}).",
        inconclusive="With the statistics of 256 unlabelled images of one corruption "
        "{256 images.effect:.0f} % of the lost accuracy returns ({256 images.low:.0f} to "
        "{256 images.high:.0f}): whether 30 is open.",
    ),
    caveats=(
        "Full adaptation: no weight on the statistics of the training data, which would soften "
        "the failures.",
    ),
    would_change="A mix with the training statistics that helps in every cell.",
)
