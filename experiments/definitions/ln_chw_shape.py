"""LayerNorm over (C, H, W), given as normalized_shape, is a usable norm for convolutional features.

Said by: two documents (below), with (128, 8, 8) and (64, 32, 32).
Primary source: torch.nn.LayerNorm: scale and shift have the shape that is normalized, one for each
element: 131,072 for (64, 32, 32), where BN and GN have 128; no other resolution fits.
Measured: usable is read as: takes another resolution, and is as accurate as GN with one group, of
the same statistics. The catalogue's 0.5 points would need some 40 seeds of this size, so 1 point,
and the whole test split is read. Each arm has the best of three learning rates, by validation after
half the epochs, on tuning seeds.
Cost: normlab run ln-chw-shape --profile cpu    4 minutes on one core
"""

from typing import TYPE_CHECKING, Any

from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.images import image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import difference, value
from normlab.claims.rules import Exact, Within
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from normlab.training.setup import Setup

RATES = (0.01, 0.03, 0.1)
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
    """Test accuracy at the best of three rates; which of both shapes' layers take half the
    resolution."""
    from normlab.training.step import evaluate

    elements = options["norm"] == "elements"
    kind, adapt = ("layernorm", per_element) if elements else (options["norm"], None)

    def run(rate: float, seed: int, *overrides: str) -> "Setup":
        given = (*options["overrides"], f"norm={kind}", f"optim.lr={rate}", *overrides)
        return train_network(given, seed, adapt)

    def accuracy(trained: "Setup", split: str) -> float:
        return evaluate(trained.model, trained.data.eval_batches(split))[1]

    share = refused()
    # Under smoke the budget is in steps, and there is nothing to halve.
    in_steps = any(item.startswith("trainer.max_steps=") for item in options["overrides"])
    half = () if in_steps else ("trainer.max_epochs=2",)
    # Tuning seeds are other ones than evaluation seeds, as everywhere.
    tuned = {rate: accuracy(run(rate, 1000 + seed, *half), "val") for rate in RATES}
    best = max(RATES, key=tuned.__getitem__)
    trained = run(best, seed)
    metrics = {"test_accuracy": accuracy(trained, "test"), "rate": best, "refused": share}
    return Measurement(metrics, trained.source)


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
    protocols=as_options(image_protocols("data.eval_subset=null", seeds=8)),
    trial=trial,
    parts=(
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
        Part(
            "accuracy",
            "at its own resolution it is as accurate as GN with one group",
            difference("elements", "layernorm", words="test accuracy - that of GN with one group"),
            Within(1.0),
        ),
    ),
    caveats=(
        "Layer norm over the channels of each pixel is a third operator; it takes any resolution.",
    ),
    would_change="A difference to GN(1) beyond 1 point on larger maps, where there are more "
    "elements to fit.",
)
