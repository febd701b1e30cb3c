"""Means and variances computed in half precision round or overflow, and make BatchNorm unstable.

Said by: "How BN, IN and LN differ".
Primary source: Micikevicius et al. 2018, who do such large reductions in float32.
Measured: errors of normalized values; sums one after the other decide, which is what naive code
computes. The catalogue's rule for naive code is 5 % of error in realistic cells (scale up to 100,
from 4,096 values); it left open how many cells. Here a method is wrong in a draw if at every scale
(1, 10, 100) the normalized values of the median channel are off by more than 5 % at 16,384 values,
64 images of 16x16; a library is right if no channel is off by 1 % at any scale, 256 values or
16,384. Sums in pairs lack range only: scale 100 is a part of its own. Values are normal, mean 0.5
deviations, rounded to 16 bits before; what is compared with are their moments in float64.
`Unstable` is tested by training: a CNN whose batch norms get their statistics, and nothing else,
from float16 sums; the gradient is the float32 formula's.
Cost: normlab run fp16-stats-overflow --profile full    25 trials to its first look, 1.0 hours of
one core
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.evidence import Evidence, Values
from normlab.claims.protocols.images import SHORT, image_protocols
from normlab.claims.protocols.overrides import as_options
from normlab.claims.quantity import Quantity, difference
from normlab.claims.rules import AtLeast, Rate
from normlab.measure.networks import train_network
from normlab.records.measurement import Measurement

if TYPE_CHECKING:
    from torch import nn

DRAWS, CHANNELS, SCALES = 4, 8, (1.0, 10.0, 100.0)
NAIVE = ("sums", "two passes", "welford", "pairs")  # see normlab.measure.low_precision
TRAININGS = {
    "training, float32": None,
    "training, float16 sums": "sums",
    "training, torch": "library",
}
WHERE = {"least": "at every scale", "100": "at scale 100", "most": "in some cell"}


def trial(options: Options, seed: int) -> Measurement:
    """Errors of a dtype's methods; or the accuracy of a network with one of them."""
    if options["arm"] in TRAININGS:
        return accuracy(options["overrides"], TRAININGS[options["arm"]], seed)
    return Measurement(errors(options["arm"], options["sizes"], seed))


def accuracy(overrides: tuple[str, ...], method: str | None, seed: int) -> Measurement:
    """Of a network whose batch norms have the statistics of `method`; None: of float32."""
    from normlab.measure.low_precision import METHODS, replace_norms
    from normlab.training.step import evaluate

    moments = METHODS[method] if method else None

    def adapt(model: "nn.Module", shape: tuple[int, ...]) -> None:
        replace_norms(model, moments=moments)

    trained = train_network((*overrides, "norm=batchnorm"), seed, adapt)
    loss, accuracy = evaluate(trained.model, trained.data.eval_batches("test"))
    finite = float(abs(loss) < float("inf"))
    return Measurement({"accuracy": accuracy, "finite": finite}, trained.source)


def errors(dtype: str, sizes: tuple[int, ...], seed: int) -> dict[str, float]:
    """Of each method, by draw: 1 is all of it."""
    import torch

    from normlab.measure.low_precision import METHODS, error, exact

    generator = torch.Generator().manual_seed(seed)
    # (values, draws, scales, channels).
    x = torch.randn(sizes[-1], DRAWS, len(SCALES), CHANNELS, generator=generator) + 0.5
    # Rounded before: errors are those of the statistics.
    x = (x * torch.tensor(SCALES)[:, None]).to(getattr(torch, dtype))
    true, metrics = exact(x, sizes), {}
    for name, method in METHODS.items():
        # By size: (draws, scales, channels).
        off = {n: error(moments, true[n]) for n, moments in method(x, sizes).items()}
        # (draws, scales): of the median channel, at the most values.
        by_scale = off[sizes[-1]].median(2).values
        # Above the bound at the least wrong scale is above it at every scale.
        least, hundred = by_scale.amin(1), by_scale[:, -1]
        # The worst channel of any scale and size, for the method that must never be wrong.
        most = torch.stack([values.amax((1, 2)) for values in off.values()]).amax(0)
        for draw in range(DRAWS):
            metrics[f"{name}_least_{draw}"] = float(least[draw])
            metrics[f"{name}_100_{draw}"] = float(hundred[draw])
            metrics[f"{name}_most_{draw}"] = float(most[draw])
    return metrics


def wrong(name: str, method: str, dtypes: tuple[str, ...], which: str, bound: float) -> Part:
    """Draws in which the error is above `bound`; `which` of them, see WHERE."""

    def read(evidence: Evidence) -> Values:
        tables = [evidence.table(dtypes, f"{method}_{which}_{draw}") for draw in range(DRAWS)]
        return np.where(np.concatenate(tables).ravel() > bound, 1.0, 0.0)

    return Part(
        name,
        f"{method}, {' and '.join(dtypes)}: the statistics are wrong",
        Quantity(
            f"draws in which {method} is wrong by over {100 * bound:g} % {WHERE[which]}",
            "share",
            read,
            dtypes,
        ),
        Rate(0.5),
    )


def training(name: str, arm: str, what: str) -> Part:
    words = f"test accuracy of the CNN, statistics of float32 - of {what}"
    return Part(
        name,
        f"statistics from {what} cost a CNN accuracy",
        difference("training, float32", arm, "accuracy", words=words),
        AtLeast(2.0),
    )


def protocols() -> dict[str, Protocol]:
    """Those of trainings, with the numbers of values that a statistic is of."""
    by_name = as_options(image_protocols("optim.lr=0.1", epochs=2, full_epochs=SHORT))
    for name, protocol in by_name.items():
        sizes = (256, 512) if name == "smoke" else (256, 16384)
        by_name[name] = replace(protocol, options={**protocol.options, "sizes": sizes})
    return by_name


CELLS = {"least": "least of scales", "100": "scale 100", "most": "worst cell"}


CLAIM = Claim(
    slug="fp16-stats-overflow",
    statement="Means and variances computed in half precision round or overflow, and make "
    "BatchNorm unstable.",
    documents=("How BN, IN and LN differ",),
    source="Micikevicius et al. 2018: large reductions, as those of batch norm's statistics, are "
    "done in float32.",
    prediction="partly supported: true of naive code, not of torch's kernels, which accumulate in "
    "float32",
    arms=tuple(Arm(name, options={"arm": name}) for name in ("float16", "bfloat16", *TRAININGS)),
    protocols=protocols(),
    trial=trial,
    clauses=(wrong("sums", "sums", ("float16",), "least", 0.05),),
    scope=(
        *(wrong(f"{name}, float16", name, ("float16",), "least", 0.05) for name in NAIVE[1:]),
        wrong("pairs, float16, 100", "pairs", ("float16",), "100", 0.05),
        *(wrong(f"{name}, bfloat16", name, ("bfloat16",), "least", 0.05) for name in NAIVE[::3]),
        wrong("torch", "library", ("float16", "bfloat16"), "most", 0.01),
        training("training, sums", "training, float16 sums", "float16 sums"),
        training("training, torch", "training, torch", "torch's kernel for float16"),
    ),
    answers=Answers(
        supported="Sums in float16 overflow or are off by 5 % at every scale in {sums.effect:.0%} "
        "of the draws ({sums.low:.0%} to {sums.high:.0%}); torch's kernel by 1 % in "
        "{torch.effect:.0%}. In training the former cost {training, sums.effect:.0f} points and "
        "the latter {training, torch.effect:.1f}.",
        refuted="Sums in float16 are off by 5 % at every scale in {sums.effect:.0%} of the draws "
        "only ({sums.low:.0%} to {sums.high:.0%}).",
        inconclusive="Sums in float16 are off by 5 % at every scale in {sums.effect:.0%} of the "
        "draws ({sums.low:.0%} to {sums.high:.0%}): whether most is open.",
    ),
    caveats=(
        "Torch's kernels on a CPU with float32 buffers, as under autocast; with 16-bit ones see "
        "fp32-stats-fix.",
        "Input whose own values overflow is lost whatever the statistics.",
    ),
    would_change="A library whose kernels accumulate in 16 bits.",
    metrics={
        "accuracy": "test accuracy of the CNN",
        **{
            f"{method}_{which}_{draw}": f"error of the output by {method}, {words}, draw {draw + 1}"
            for method in (*NAIVE, "library")
            for which, words in CELLS.items()
            for draw in range(DRAWS)
        },
    },
)
