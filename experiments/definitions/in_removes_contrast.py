"""Instance normalization removes per-image, per-channel contrast and brightness.

Said by: "How BN, IN and LN differ".
Primary source: Ulyanov et al. 2016, who introduced it for that.
Measured: how far IN(a x + b) is from IN(x). Exact up to eps: they are equal while the variance
stays far above eps. Contrasts of 0.3 to 3.3 decide, on maps of unit variance; lower ones are scope.
Cost: normlab run in-removes-contrast --profile full    80 trials, 2 seconds of one core
"""

from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.protocols.direct import direct_protocols
from normlab.claims.quantity import Quantity, value
from normlab.claims.rules import Exact


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Largest |norm(a x + b) - norm(x)| over contrasts a and brightnesses b of each image and
    channel."""
    import torch

    from normlab.norms import make_norm

    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 16, 16, 16, generator=generator)
    low, high = options["contrast"]
    # One contrast and one brightness for each image and channel, over all its pixels.
    a = torch.empty(8, 16, 1, 1).uniform_(low, high, generator=generator)
    b = torch.empty(8, 16, 1, 1).uniform_(-3, 3, generator=generator)
    norm = make_norm(options["kind"], 16, "NCHW")
    with torch.no_grad():
        return {"error": float((norm(a * x + b) - norm(x)).abs().max())}


def error(arm: str) -> Quantity:
    """(n,): what contrast and brightness change of the output, at the contrasts of `arm`."""
    words = f"largest |IN(a x + b) - IN(x)| of a draw, contrasts a from {arm}"
    return value(arm, "error", words=words, unit="largest error")


CLAIM = Claim(
    slug="in-removes-contrast",
    statement="Instance normalization removes per-image, per-channel contrast and brightness.",
    documents=("How BN, IN and LN differ",),
    source="Ulyanov et al. 2016 propose instance normalization to make stylisation independent of "
    "contrast.",
    prediction="supported: exact up to eps for contrasts from 0.1 up",
    arms=(
        Arm("0.3 to 3.3", options={"kind": "instancenorm", "contrast": (0.3, 3.3)}),
        Arm("0.1 to 0.3", options={"kind": "instancenorm", "contrast": (0.1, 0.3)}),
        Arm("0.01", options={"kind": "instancenorm", "contrast": (0.009, 0.011)}),
        # Beside: shared by channels, its statistics cannot remove what differs between them.
        Arm("groupnorm", options={"kind": "groupnorm", "contrast": (0.3, 3.3)}),
    ),
    protocols=direct_protocols(20, 0.02),
    trial=trial,
    clauses=(
        Part(
            "contrast",
            "contrasts of 0.3 to 3.3 change the output by less than 1e-3",
            error("0.3 to 3.3"),
            Exact(1e-3),
        ),
    ),
    scope=(
        Part(
            "low contrast",
            "contrasts of 0.1 to 0.3 change the output by less than 1e-3",
            error("0.1 to 0.3"),
            Exact(1e-3),
        ),
        Part(
            "groupnorm",
            "GroupNorm removes contrasts of each channel, too",
            error("groupnorm"),
            Exact(1e-3),
        ),
    ),
    answers=Answers(
        supported="InstanceNorm removes contrast and brightness: contrasts of 0.3 to 3.3 change "
        "its output by {contrast.effect:.0e} at most, lower ones down to 0.1 by "
        "{low contrast.effect:.0e}.",
        refuted="InstanceNorm does not remove contrast: factors of 0.3 to 3.3 change its output "
        "by up to {contrast.effect:.1e}.",
    ),
    caveats=(
        "At low contrast eps is no longer small beside the variance, and the difference grows: see "
        "the arm at 0.01.",
        "Additive noise and zero padding leak contrast back in whole networks.",
    ),
    would_change="A draw at contrast 0.3 or more that changes the output by more than 1e-3.",
    first_seed=0,
    metrics={
        "error": "largest change of the output by contrast and brightness",
    },
)
