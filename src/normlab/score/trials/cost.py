"""What a layer costs beside a copy of its input or another layer, both in one process, by turns."""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Claim, Options, Protocol
from normlab.claims.looks import Looks

SHAPES = {"NCHW": (64, 32, 16, 16), "NTC": (32, 64, 128), "NC": (2048, 128)}
COPY = "copy"
MODES = ("forward", "forward_backward")


def trial(options: Options, seed: int) -> dict[str, float | None]:
    """Ratio of the layer's time to the baseline's, by mode.

    A timing whose A/A control is off gives None, and counts in `void`.
    """
    import torch

    from normlab.errors import NormLabError
    from normlab.measure.timing.conditions import timing_conditions
    from normlab.measure.timing.harness import compare_until_valid
    from normlab.measure.timing.layers import call, copy
    from normlab.norms import make_norm, spec_of

    norms = [
        {name: value for name, value in options[side].items() if name != "code"}
        for side in ("norm", "baseline")
        if options[side] != COPY
    ]
    layout = next(
        (name for name in SHAPES if all(name in spec_of(**norm).layouts for norm in norms)), None
    )
    if layout is None:
        raise NormLabError("the two norms take no layout in common.")
    x = torch.randn(SHAPES[layout], generator=torch.Generator().manual_seed(seed))
    channels = x.shape[1] if layout == "NCHW" else x.shape[-1]
    layers = [make_norm(num_features=channels, layout=layout, **norm) for norm in norms]
    metrics: dict[str, Any] = {"void": 0}
    with timing_conditions():
        for mode in MODES:
            subject, baseline = (call(layer, x, mode) for layer in layers) if len(layers) > 1 else (
                call(layers[0], x, mode), copy(x))  # fmt: skip
            timing = compare_until_valid(
                subject, baseline, rounds=options["rounds"], min_seconds=options["min_seconds"]
            )
            metrics[f"{mode}_ratio"] = timing.ratio if timing.valid else None
            metrics[f"{mode}_control"] = timing.control
            metrics["void"] += not timing.valid
    return metrics


CLAIM = Claim(
    slug="cost",
    statement="What a layer costs beside a copy of its input, and beside another layer.",
    documents=(),
    source="",
    prediction="",
    clauses=(),
    answers=Answers("", ""),
    protocols={
        "quick": Protocol(
            options={"rounds": 15, "min_seconds": 0.004}, looks=Looks((5,)), seconds_per_trial=1.0
        ),
        "smoke": Protocol(options={"rounds": 2, "min_seconds": 0.0001}, looks=Looks((1,))),
    },
    trial=trial,
    timed=True,
    first_seed=0,
)
