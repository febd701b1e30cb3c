"""A last batch of one sample raises an error in BatchNorm, or spoils its running statistics.

Said by: practitioners: mmsegmentation issue 272, fastai issue 1352, scvi-tools issue 2314, pytorch
issue 7716.
Primary source: torch.nn.functional.batch_norm, which refuses one value per channel in train mode;
of maps, where one sample has many values, no source says more than the threads.
Measured: whether torch's four layers refuse one sample in train mode. And of a trained CNN, how
much test accuracy is lost when its running statistics see one more batch: a single training image,
8 of them, or a whole batch. Mean of 8 such batches of each size; weights stay. A pilot at seed 1001
lost 0.4 points by one image.
Cost: normlab run last-batch-of-one --profile full    10 trials to its first look, 1.1 hours of one
core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, every, metric_difference
from normlab.claims.rules import AtLeast, Exact
from normlab.records.measurement import Measurement

DRAWS = 8  # last batches of each size
LAYERS = ("rows", "sequences of 1", "maps of 1x1", "volumes of 1x1x1")


def taken() -> dict[str, float]:
    """1 for each kind of batch of one sample that a layer takes in train mode, 0 if refused."""
    import torch
    from torch import nn

    norms: tuple[Any, ...] = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    metrics = {}
    for dimensions, (name, norm) in enumerate(zip(LAYERS, norms, strict=True)):
        x = torch.ones(1, 8, *(1,) * dimensions)
        try:
            norm(8)(x)
            metrics[name] = 1.0
        except ValueError:
            metrics[name] = 0.0
    return metrics


def trial(options: Options, seed: int) -> Measurement | dict[str, float]:
    """Which layers take one sample; or test accuracy by the size of one more batch."""
    from normlab.measure.extra_passes import accuracy_after, fresh_batch
    from normlab.measure.networks import train_network

    if options["what"] == "layers":
        return taken()
    trained = train_network((*options["overrides"], "norm=batchnorm"), seed)

    def mean_after(size: int | None) -> float:
        batches = [fresh_batch(trained, index, size) for index in range(DRAWS)]
        return sum(accuracy_after(trained, [batch]) for batch in batches) / DRAWS

    metrics = {
        "test_accuracy": accuracy_after(trained, []),
        "one_accuracy": mean_after(1),
        "eight_accuracy": mean_after(8),
        "whole_accuracy": mean_after(None),
    }
    return Measurement(metrics, trained.source)


def lost(metric: str, last: str) -> Quantity:
    words = f"test accuracy before - after one more batch in train mode, {last}"
    return metric_difference("network", "test_accuracy", metric, words=words)


CLAIM = Claim(
    slug="last-batch-of-one",
    statement="An epoch's last batch of one sample raises an error in BatchNorm, or spoils its "
    "running statistics.",
    documents=("Practitioners' threads",),
    source="torch.nn.functional.batch_norm refuses one value per channel; maintainers in the "
    "threads advise drop_last=True.",
    prediction="partly supported: rows raise, as they must; one image in maps has a tenth of the "
    "weight, and costs less than a point",
    arms=(
        Arm("layers", options={"what": "layers"}),
        Arm("network", options={"what": "network"}),
    ),
    protocols=as_options(image_protocols("optim.lr=0.1", full_epochs=SHORT, evaluations_s=250)),
    trial=trial,
    clauses=(
        Part(
            "refused",
            "one sample with one value per channel is refused in train mode, by each of torch's "
            "layers",
            every(
                ["layers"],
                LAYERS,
                words="layers that take one sample with one value per channel, each by itself",
                unit="taken",
            ),
            Exact(0),
        ),
        Part(
            "spoilt",
            "on maps, where it is taken, it costs 1 point of the accuracy that follows",
            lost("one_accuracy", "of 1 image"),
            AtLeast(1.0),
            expected=0.4,
            noise=0.3,
        ),
    ),
    scope=(
        Part(
            "eight",
            "a last batch of 8 images costs 1 point",
            lost("eight_accuracy", "of 8 images"),
            AtLeast(1.0),
        ),
        Part(
            "whole",
            "a whole last batch costs 1 point",
            lost("whole_accuracy", "of the usual size"),
            AtLeast(1.0),
        ),
    ),
    answers=Answers(
        supported="BatchNorm refuses a last batch of one sample where a channel has one value; on "
        "maps it takes it, and the running statistics then cost {spoilt.effect:.1f} points "
        "({spoilt.low:.1f} to {spoilt.high:.1f}) of accuracy, after 8 images {eight.effect:.1f}.",
        refuted="BatchNorm does not refuse every batch of one value per channel; on maps a last "
        "image costs {spoilt.effect:+.2f} points of accuracy ({spoilt.low:+.2f} to "
        "{spoilt.high:+.2f}).",
        partly="Not both: where a channel has one value, {refused.effect:.0f} of torch's layers "
        "take a last batch of one sample; on maps they take it, and it costs "
        "{spoilt.effect:+.2f} points of the accuracy that follows ({spoilt.low:+.2f} to "
        "{spoilt.high:+.2f}), after 8 images {eight.effect:+.2f}.",
        inconclusive="A last batch of one sample costs {spoilt.effect:+.2f} points of accuracy on "
        "maps ({spoilt.low:+.2f} to {spoilt.high:+.2f}): whether 1 is open.",
    ),
    caveats=(
        "Statistics alone: that batch's gradient, too, is one of a network normalized by a single "
        "image, and is not measured.",
        "Momentum 0.1, torch's default: the last batch has a tenth of the weight, whatever its "
        "size.",
        "A mean over images: a single unusual one costs more.",
    ),
    would_change="A larger momentum, or deeper networks of maps with few positions.",
    metrics={
        **{name: f"one sample in train mode, {name}: taken (1) or refused (0)" for name in LAYERS},
        "test_accuracy": "test accuracy before the extra batch",
        "one_accuracy": "test accuracy after one more batch of 1 image",
        "eight_accuracy": "test accuracy after one more batch of 8 images",
        "whole_accuracy": "test accuracy after one more batch of the usual size",
    },
)
