"""In low precision a larger batch makes BatchNorm's statistics less erroneous.

Said by: "How BN, IN and LN differ".
Primary source: Higham 2002, chapters 1 and 4, for the error that rounding adds to a sum.
Measured: the error of normalized values against the distribution's own mean and deviation (0.75 and
1.5), root mean square of 64 channels, 1 at most. Two errors are meant by one word. Sampling error
falls with the root of N in any precision; what rounding adds grows with N where sums are kept in 16
bits. As libraries compute decides, from 256 to 65,536 values, the mean of both formats; sums in 16
bits are scope, in two halves of the range. Sampling alone gives 1.2 decades from 256 to 65,536 and
0.6 from 16 to 256; half of that is asked for. `library_rounding` is against the same values'
moments in float64.
Cost: normlab run larger-batch-helps-fp16 --profile full    12 trials, a minute of one core
"""

from math import log10
from typing import Any

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.contrasts import contrast
from normlab.claims.protocols.direct import direct_protocols
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


def part(dtype: str, method: str, first: int, last: int, title: str = "") -> Part:
    """Half of the fall with the root of N supports."""
    errors = (f"{method}_{first}", f"{method}_{last}")
    words = f"fall of the error by {method} from {first} values to {last}"
    return Part(
        title or f"{dtype}, {method}, {first} to {last}",
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
    protocols=direct_protocols(6, 6.0, options={"sizes": SIZES}, smoke={"sizes": SIZES[:2]}),
    trial=trial,
    clauses=(
        Part(
            "library",
            "as libraries compute, the error falls from 256 values to 65,536",
            contrast(
                {dtype: {"library_256": 0.5, "library_65536": -0.5} for dtype in ARMS},
                "fall of the error by library from 256 values to 65536, mean of float16 and "
                "bfloat16",
                unit="decades",
            ),
            # Sampling alone falls by half of log10(last / first), and half of that is asked for.
            AtLeast(0.25 * log10(65536 / 256)),
            expected=1.2,
            noise=0.04,
        ),
    ),
    scope=(
        *(part(dtype, "sums", 16, 256) for dtype in ARMS),
        part("float16", "sums", 256, 65536, "sums"),
        part("bfloat16", "sums", 256, 65536),
        *(part("float16", method, 256, 65536) for method in ("two passes", "welford", "pairs")),
        part("float16", "library_rounding", 256, 65536),
    ),
    answers=Answers(
        supported="As libraries compute, the error falls by {library.effect:.2f} decades "
        "({library.low:.2f} to {library.high:.2f}) from 256 values to 65,536; of sums kept in "
        "float16 it rises by {sums.size:.1f}.",
        refuted="As libraries compute, the error falls by {library.effect:.2f} decades only "
        "({library.low:.2f} to {library.high:.2f}) from 256 values to 65,536.",
        inconclusive="As libraries compute, the error falls by {library.effect:.2f} decades "
        "({library.low:.2f} to {library.high:.2f}) from 256 values to 65,536: whether half of "
        "what sampling gives is open.",
    ),
    caveats=(
        "Independent normal values; those of one image are not, so that N overstates how many "
        "there are.",
        "Library: torch's kernel on a CPU with float32 buffers; library_rounding: what it adds to "
        "the same values.",
    ),
    would_change="Accumulators of more than 16 bits in the code that is meant, as torch's kernels "
    "have.",
    first_seed=0,
    metrics={
        f"{method}{rounding}_{n}": logarithm(
            f"{'rounding ' * bool(rounding)}error of normalized values, {method}, of {n} values", 10
        )
        for method in ("sums", "two passes", "welford", "pairs", "library")
        for rounding in ("", "_rounding")
        for n in SIZES
    },
)
