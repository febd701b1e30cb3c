"""Stored averages are wrong on shifted data, and a BatchNorm network loses accuracy.

Said by: "How BN, IN and LN differ". Primary source: Schneider et al. 2020, whose ResNet-50 has a mean corruption error
of 76.7 % on ImageNet-C without adaptation and 62.2 % with the statistics of the corrupted images. Eight corruptions in
three severities are made on the fly. Every norm loses; whether BatchNorm loses most is ln-in-robust-shift.

    normlab run domain-shift-hurts-bn --profile cpu        2 minutes on 2 cores
"""

from normlab.claims.claim import Claim, Part
from normlab.claims.protocols.images import image_protocols, inference_arm
from normlab.claims.rules import greater_by

CLAIM = Claim(
    slug="domain-shift-hurts-bn",
    statement="Under domain shift BatchNorm's stored averages no longer fit, and accuracy falls.",
    documents=("How BN, IN and LN differ",),
    source="Schneider et al. 2020: mean corruption error 76.7 % on ImageNet-C, 62.2 % with adapted statistics.",
    prediction="supported",
    arms=(inference_arm("batchnorm"),),
    protocols=image_protocols(),
    parts=(
        Part(
            "fall",
            "eight corruptions cost at least 5 points on average",
            "accuracy(clean) - accuracy(corrupted): supported from 5 points, refuted below 2.5",
            lambda evidence: greater_by(
                100
                * (
                    evidence.values("batchnorm", "test_accuracy")
                    - evidence.values("batchnorm", "corrupted_accuracy")
                ),
                5.0,
            ),
        ),
        Part(
            "averages",
            "the stored averages have a part in it: with the statistics of 256 corrupted images a point comes back",
            "accuracy(adapted) - accuracy(corrupted): supported from 1 point, refuted below 0.5",
            lambda evidence: greater_by(
                100
                * (
                    evidence.values("batchnorm", "adapted_256_accuracy")
                    - evidence.values("batchnorm", "corrupted_accuracy")
                ),
                1.0,
            ),
        ),
    ),
    caveats=(
        "The catalogue has the first part only; the second is there because every norm loses under corruption.",
        "Corruptions of 16x16 images with strengths of our own, not CIFAR-10-C.",
    ),
    would_change="Corruptions that leave the statistics of the features where they were.",
)
