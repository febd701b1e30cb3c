"""In low precision a larger batch makes BatchNorm's statistics less erroneous.

Said by: "How BN, IN and LN differ".
Primary source: Higham 2002, chapters 1 and 4, for the error that rounding adds to a sum.
Measured: the error of normalized values against the distribution's own mean and deviation (0.75 and
1.5), root mean square of 64 channels, 1 at most. Two errors are meant by one word. Sampling error
falls with the root of N in any precision; what rounding adds grows with N where sums are kept in 16
bits. The catalogue asks for a monotone fall of the total error up to 65,536 values. Here the two
halves of that range are parts, since both signs are expected: sampling alone gives 0.6 decades from
16 to 256 values and 1.2 from 256 to 65,536; half of that supports, a quarter refutes.
`library_rounding` is against the same values' moments in float64.
Cost: normlab run larger-batch-helps-fp16 --profile cpu    1 minute on one core
"""

from math import log10
from typing import Any

from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.quantity import metric_difference
from normlab.claims.rules import AtLeast

CHANNELS, SIZES = 64, (16, 256, 4096, 65536)
ARMS = ("float16", "bfloat16")


def trial(options: Options, seed: int) -> dict[str, Any]:
    """Decimal logarithms of the total and of the rounding error, by method and number of values."""
    import torch

    from normlab.measure.low_precision import METHODS, error, exact

    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(options["sizes"][-1], CHANNELS, generator=generator) * 1.5 + 0.75
    x = x.to(getattr(torch, options["dtype"]))
    # Mean and variance of the distribution: beside them sampling is an error, too.
    population = torch.tensor(0.75), torch.tensor(1.5**2)
    same, metrics = exact(x, options["sizes"]), {}
    for name, method in METHODS.items():
        for n, moments in method(x, options["sizes"]).items():
            # / 2: the logarithm of a root.
            metrics[f"{name}_{n}"] = float(error(moments, population).square().mean().log10() / 2)
            # Without error at all the logarithm would be -inf.
            rounding = error(moments, same[n]).square().mean().clamp(min=1e-30)
            metrics[f"{name}_rounding_{n}"] = float(rounding.log10() / 2)
    return metrics


def part(dtype: str, method: str, first: int, last: int) -> Part:
    """Half of the fall with the root of N supports."""
    errors = (f"{method}_{first}", f"{method}_{last}")
    words = f"fall of the error by {method} from {first} values to {last}"
    return Part(
        f"{dtype}, {method}, {first} to {last}",
        f"{method} in {dtype}: the error falls from {first} values to {last}",
        metric_difference(dtype, *errors, words=words, unit="decades"),
        # Sampling alone falls by half of log10(last / first), and half of that is asked for.
        AtLeast(0.25 * log10(last / first)),
    )


CLAIM = Claim(
    slug="larger-batch-helps-fp16",
    statement="In low precision a larger batch makes BatchNorm's statistics less erroneous.",
    documents=("How BN, IN and LN differ",),
    source="Higham 2002, chapters 1 and 4: the error bound of a sum grows with N one by one, with "
    "log N in pairs.",
    prediction="partly supported: small batches and float32 accumulators; refuted for large ones "
    "in naive float16",
    arms=tuple(Arm(dtype, options={"dtype": dtype}) for dtype in ARMS),
    protocols={
        "cpu": Protocol(seeds=6, options={"sizes": SIZES}, seconds_per_trial=6.0),
        "smoke": Protocol(seeds=1, options={"sizes": SIZES[:2]}),
    },
    trial=trial,
    parts=(
        *(part(dtype, "sums", 16, 256) for dtype in ARMS),
        *(part(dtype, "sums", 256, 65536) for dtype in ARMS),
        *(part("float16", method, 256, 65536) for method in ("two passes", "welford", "pairs")),
        *(part(dtype, "library", 256, 65536) for dtype in ARMS),
        part("float16", "library_rounding", 256, 65536),
    ),
    caveats=(
        "Independent normal values; those of one image are not, so that N overstates how many "
        "there are.",
        "Library: torch's kernel on a CPU with float32 buffers; library_rounding: what it adds to "
        "the same values.",
    ),
    would_change="Accumulators of more than 16 bits in the code that is meant, as torch's kernels "
    "have.",
)
