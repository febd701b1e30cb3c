"""Stored averages are wrong on shifted data, and a BatchNorm network loses accuracy.

Said by: "How BN, IN and LN differ".
Primary source: Schneider et al. 2020, whose ResNet-50 has a mean corruption error of 76.7 % on
ImageNet-C without adaptation and 62.2 % with the statistics of the corrupted images.
Measured: accuracy under eight corruptions in three severities, made on the fly. Every norm loses;
whether BatchNorm loses most is ln-in-robust-shift.
Cost: normlab run domain-shift-hurts-bn --profile full    20 trials to its first look, 1.2 hours of
one core; 15 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.protocols.images import SHORT, image_protocols, inference_arm
from normlab.claims.quantity import metric_difference
from normlab.claims.rules import AtLeast

CLAIM = Claim(
    slug="domain-shift-hurts-bn",
    statement="Under domain shift BatchNorm's stored averages no longer fit, and accuracy falls.",
    documents=("How BN, IN and LN differ",),
    source="Schneider et al. 2020: mean corruption error 76.7 % on ImageNet-C, 62.2 % with adapted "
    "statistics.",
    prediction="supported",
    arms=(inference_arm("batchnorm"),),
    protocols=image_protocols(full_epochs=SHORT, evaluations_s=600),
    clauses=(
        Part(
            "fall",
            "eight corruptions cost at least 5 points on average",
            metric_difference(
                "batchnorm",
                "test_accuracy",
                "corrupted_accuracy",
                words="BN's test accuracy on clean images - on corrupted ones",
            ),
            AtLeast(5.0),
            expected=13.0,
            noise=1.5,
        ),
        Part(
            "averages",
            "the stored averages have a part in it: with the statistics of 256 corrupted images a "
            "point comes back",
            metric_difference(
                "batchnorm",
                "adapted_256_accuracy",
                "corrupted_accuracy",
                words="BN's accuracy on corrupted images with the statistics of 256 of them - with "
                "its stored averages",
            ),
            AtLeast(1.0),
            expected=6.0,
            noise=1.5,
        ),
    ),
    answers=Answers(
        supported="Eight corruptions cost BatchNorm {fall.effect:.1f} points ({fall.low:.1f} to "
        "{fall.high:.1f}), of which the statistics of the corrupted images win back "
        "{averages.effect:.1f}.",
        refuted="Eight corruptions cost BatchNorm {fall.effect:.1f} points ({fall.low:.1f} to "
        "{fall.high:.1f}), and the statistics of the corrupted images win back "
        "{averages.effect:.1f}: less than claimed.",
        partly="Eight corruptions cost BatchNorm {fall.effect:.1f} points ({fall.low:.1f} to "
        "{fall.high:.1f}); the statistics of the corrupted images win back "
        "{averages.effect:+.1f}: one of both as claimed.",
        inconclusive="Eight corruptions cost BatchNorm {fall.effect:.1f} points ({fall.low:.1f} "
        "to {fall.high:.1f}); the statistics of the corrupted images win back "
        "{averages.effect:+.1f}: not both are decided.",
    ),
    caveats=(
        "The second clause is there because every norm loses under corruption.",
        "Corruptions with strengths of our own, not CIFAR-10-C.",
    ),
    would_change="Corruptions that leave the statistics of the features where they were.",
)
