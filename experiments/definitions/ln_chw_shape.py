"""LayerNorm over (C, H, W), given as normalized_shape, is a usable norm for convolutional features.

Said by: two documents (below), with (128, 8, 8) and (64, 32, 32).
Primary source: torch.nn.LayerNorm: scale and shift have the shape that is normalized, one for each
element: 131,072 for (64, 32, 32), where BN and GN have 128; no other resolution fits.
Measured: usable is read as: at its own resolution as accurate as GN with one group, of the same
statistics, within 0.5 points. That it takes no other resolution is scope. Each trial has the best
of four learning rates by its own validation score.
Cost: normlab run ln-chw-shape --profile full    10 trials to its first look, 1.7 hours of one core
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.metrics import percent
from normlab.claims.protocols.images import FEW, SHORT, image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import difference, value
from normlab.claims.rules import Exact, Within
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from normlab.training.setup import Setup

RATES = (0.01, 0.03, 0.1, 0.3)
SHAPES = ((128, 8, 8), (64, 32, 32))


def per_element(model: Any, input_shape: tuple[int, ...]) -> None:
    """Replace each norm by nn.LayerNorm over the (C, H, W) that it meets."""
    import torch
    from torch import nn

    from normlab.norms import Norm

    # Zeros go through the layers for their shapes alone.
    x = torch.zeros(1, *input_shape)
    for index, layer in enumerate(model.features):
        if isinstance(layer, Norm):
            model.features[index] = nn.LayerNorm(x.shape[1:])
        x = layer(x)


def refused() -> float:
    """The share of `SHAPES` whose LayerNorm refuses maps of half the resolution."""
    import torch
    from torch import nn

    count = 0
    for c, h, w in SHAPES:
        try:
            nn.LayerNorm((c, h, w))(torch.randn(2, c, h // 2, w // 2))
        except RuntimeError:
            count += 1
    return count / len(SHAPES)


def trial(options: Options, seed: int) -> Measurement:
    """Test accuracy at the best of four rates; which of both shapes' layers take half the
    resolution."""
    from normlab.training.step import evaluate

    elements = options["norm"] == "elements"
    kind, adapt = ("layernorm", per_element) if elements else (options["norm"], None)

    def run(rate: float) -> "Setup":
        given = (*options["overrides"], f"norm={kind}", f"optim.lr={rate}")
        return train_network(given, seed, adapt)

    def accuracy(trained: "Setup", split: str) -> float:
        return evaluate(trained.model, trained.data.eval_batches(split))[1]

    trained = {rate: run(rate) for rate in RATES}
    best = max(RATES, key=lambda rate: accuracy(trained[rate], "val"))
    metrics = {
        "test_accuracy": accuracy(trained[best], "test"),
        "rate": best,
        "refused": refused(),
    }
    return Measurement(metrics, trained[best].source)


def protocols() -> dict[str, Protocol]:
    """Of four trainings a trial."""
    by_name = as_options(image_protocols(looks=Looks(), full_epochs=SHORT, full_looks=FEW))
    for name, one in by_name.items():
        by_name[name] = replace(one, seconds_per_trial=len(RATES) * one.seconds_per_trial)
    return by_name


CLAIM = Claim(
    slug="ln-chw-shape",
    statement="LayerNorm with normalized_shape (C, H, W) is a usable norm for convolutional "
    "features.",
    documents=(
        "Differences between Batch, Layer, Group and Instance Norm",
        "How BN, IN and LN differ",
    ),
    source="torch.nn.LayerNorm: scale and shift have normalized_shape, and the input must end in "
    "it.",
    prediction="refuted for other resolutions, supported for accuracy at its own: partly supported",
    arms=tuple(Arm(norm, options={"norm": norm}) for norm in ("elements", "layernorm")),
    protocols=protocols(),
    trial=trial,
    trial_version=3,
    clauses=(
        Part(
            "accuracy",
            "at its own resolution it is as accurate as GN with one group",
            difference("elements", "layernorm", words="test accuracy - that of GN with one group"),
            Within(0.5),
            expected=-0.1,
            noise=0.45,
        ),
    ),
    scope=(
        Part(
            "resolution",
            "the layers of both snippets take maps of half the resolution",
            value(
                "elements",
                "refused",
                words="share of both layers that refuse maps of half the resolution",
                unit="share refused",
            ),
            Exact(0),
        ),
    ),
    answers=Answers(
        supported="At the resolution that it was built for LayerNorm over (C, H, W) is "
        "{accuracy.effect:+.2f} points ({accuracy.low:.2f} to {accuracy.high:.2f}) from GN with "
        "one group; maps of another resolution it refuses.",
        refuted="At the resolution that it was built for LayerNorm over (C, H, W) is "
        "{accuracy.effect:+.2f} points ({accuracy.low:.2f} to {accuracy.high:.2f}) from GN with "
        "one group: more than 0.5; maps of another resolution it refuses.",
        inconclusive="At the resolution that it was built for LayerNorm over (C, H, W) is "
        "{accuracy.effect:+.2f} points ({accuracy.low:.2f} to {accuracy.high:.2f}) from GN with "
        "one group: whether within 0.5 is open.",
    ),
    caveats=(
        "Layer norm over the channels of each pixel is a third operator; it takes any resolution.",
    ),
    would_change="A difference to GN(1) beyond 1 point on larger maps, where there are more "
    "elements to fit.",
    metrics={
        "refused": percent("LayerNorms that refuse maps of half the resolution"),
    },
)
