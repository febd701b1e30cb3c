"""A network left in train mode predicts by its batch mates.

Said by: "Batch Normalization, a walkthrough" and "How BN, IN and LN differ".
Primary source: none: it follows from the definition; how much it costs depends on the batch.
Measured: one trained network per seed is asked for the classes of the 10,000 test images in 3
random compositions of batches of 1 to 256.
Cost: normlab run missing-eval-bug --profile full    20 trials to its first look, 1.2 hours of one
core; 15 of them are other claims', too
"""

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Part
from normlab.claims.protocols.images import SHORT, image_protocols, inference_arm
from normlab.claims.quantity import every, metric_difference, value
from normlab.claims.rules import AtLeast, Exact

BATCHES = (1, 2, 4, 16, 64, 256)


def lost(size: int) -> Part:
    """Points that batches of `size` cost in train mode."""
    return Part(
        f"batches of {size}",
        f"in batches of {size} it costs at least 2 points of accuracy",
        metric_difference(
            "batchnorm",
            "eval_mode_accuracy",
            f"train_mode_accuracy_{size}",
            words=f"accuracy in eval mode - in train mode in batches of {size}",
        ),
        AtLeast(2.0),
    )


CLAIM = Claim(
    slug="missing-eval-bug",
    statement="Without eval() a BatchNorm network's predictions depend on the rest of the batch "
    "and get worse.",
    documents=("Batch Normalization, a walkthrough", "How BN, IN and LN differ"),
    source="By definition: in train mode a sample is normalized with the statistics of its batch.",
    prediction="supported at batches of 16; more below, less above, and at 1 no flips but the "
    "worst accuracy",
    arms=(inference_arm("batchnorm"),),
    protocols=image_protocols(full_epochs=SHORT, evaluations_s=600),
    clauses=(
        Part(
            "flips",
            "in batches of 16, 5 % of predictions change with the batch mates",
            value(
                "batchnorm",
                "train_mode_flips_16",
                words="predictions that differ between two random compositions of batches of 16",
                scale=100,
                unit="%",
            ),
            AtLeast(5.0),
            expected=20.0,
            noise=3.0,
        ),
        Part(
            "accuracy",
            "in batches of 16 it costs at least 2 points of accuracy",
            metric_difference(
                "batchnorm",
                "eval_mode_accuracy",
                "train_mode_accuracy_16",
                words="accuracy in eval mode - in train mode in batches of 16",
            ),
            AtLeast(2.0),
            expected=4.0,
            noise=1.0,
        ),
    ),
    scope=(
        Part(
            "eval mode",
            "in eval mode no prediction depends on batch or order",
            every(
                ["batchnorm"],
                [f"eval_mode_flips_{size}" for size in BATCHES],
                words="share of predictions that differ between two compositions, batches of 1 to "
                "256",
            ),
            # Classes, not logits: a flip is a flip.
            Exact(0.0),
        ),
        *(lost(size) for size in BATCHES if size != 16),
    ),
    answers=Answers(
        supported="In batches of 16 without eval(), {flips.effect:.0f} % of the predictions "
        "({flips.low:.0f} to {flips.high:.0f}) change with the rest of the batch, and "
        "{accuracy.effect:.1f} points of accuracy ({accuracy.low:.1f} to {accuracy.high:.1f}) are "
        "lost; in batches of 256 {batches of 256.effect:.1f} are.",
        refuted="In batches of 16 without eval(), {flips.effect:.1f} % of the predictions change "
        "with the rest of the batch and {accuracy.effect:.1f} points of accuracy are lost: less "
        "than claimed.",
        partly="In batches of 16 without eval(), {flips.effect:.1f} % of the predictions "
        "({flips.low:.1f} to {flips.high:.1f}) change with the rest of the batch; the accuracy "
        "falls by {accuracy.effect:.1f} points ({accuracy.low:.1f} to {accuracy.high:.1f}).",
        inconclusive="In batches of 16 without eval(), {flips.effect:.1f} % of the predictions "
        "change with the rest of the batch; the accuracy falls by {accuracy.effect:.1f} points "
        "({accuracy.low:.1f} to {accuracy.high:.1f}), and whether by 2 is open.",
    ),
    caveats=(
        "Training images are padded crops and test images are whole, so that their statistics "
        "differ, however large the batch is. How much of the loss this makes is not measured.",
        "Test images in random order: batches sorted by class are train_mode_sorted_16_accuracy in "
        "the records.",
        "Under domain shift train mode can help: see bn-adapt-running-stats.",
    ),
    would_change="A network so certain of its classes that the noise of 16 samples moves none of "
    "them.",
)
