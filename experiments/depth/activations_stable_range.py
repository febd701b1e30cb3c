"""Normalization keeps activations in a stable range.

Said by: "BatchNorm vs LayerNorm" (a lesson).
Primary source: Xiong et al. 2020, by whom the residual stream of Pre-LN grows with depth.
Measured: the range, the largest over the smallest root mean square of the activations, over layers
and over the course of a training (11 moments), each network at the one of three learning rates with
the lowest training loss. Compared with the same network without norms, where the same places are
looked at. These are what layers read, which is what a norm gave (LayerNorm before each branch or
after each sum of a transformer; BatchNorm or LayerNorm in a CNN on digits), and for Pre-LN the
residual stream itself, too, on which no norm stands. The catalogue's bound: a range that is smaller
by a factor of 3.
Cost: normlab run activations-stable-range --profile full    30 trials to its first look, 14 minutes
of one core
"""

from math import inf

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part
from normlab.claims.metrics import logarithm
from normlab.claims.protocols.overrides import as_options
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.quantity import difference
from normlab.claims.rules import Between
from normlab.records.measurement import Measurement
from normlab.records.record import DataSource

NETS: dict[str, dict[str, tuple[str, ...]]] = {
    "transformer": {
        "none": ("norm=none",),
        "Pre-LN": ("norm=layernorm",),
        "Post-LN": ("norm=layernorm", "model.placement=post"),
    },
    "CNN": {
        "none": ("norm=none",),
        "BatchNorm": ("norm=batchnorm",),
        "LayerNorm": ("norm=layernorm",),
    },
}
CNN = ("model=plaincnn", "model.width=16", "data=digits", "data.batch_size=64", "optim=sgd")


def trial(options: Options, seed: int) -> Measurement:
    """Logs of the ranges: `read` at the places of norms, `stream` after a transformer's blocks."""
    from normlab.config.compose import compose
    from normlab.data import load_data
    from normlab.measure.states import course_of_training, log_range

    text = options["overrides"]
    # The protocol is the transformer's: a CNN takes its steps alone.
    budget = tuple(override for override in text if override.startswith("trainer."))
    # Both data sets are this claim's, whichever an arm trains on.
    sets = [load_data(compose(list(net)).data, seed) for net in (text, (*CNN, *budget))]
    names, fingerprints = zip(*((one.name, one.fingerprint) for one in sets), strict=True)
    data: DataSource = {
        "name": " and ".join(names),
        "fingerprint": " and ".join(fingerprints),
    }
    # A CNN has no residual stream.
    if options["net"] == "CNN":
        net = (*CNN, *budget, *options["arm"])
        course, _ = course_of_training(net, seed, rates=(0.01, 0.03, 0.1))
        return Measurement({"read": log_range(course, "read")}, data)
    net = (*text, *options["arm"])
    course, _ = course_of_training(net, seed, rates=(0.001, 0.003, 0.01))
    metrics = {
        "read": log_range(course, "read"),
        "stream": log_range(course, "stream"),
        # After training, the last block's over the first one's.
        "stream_growth": course[-1]["stream"][-1] / course[-1]["stream"][0],
    }
    return Measurement(metrics, data)


def part(
    name: str, statement: str, net: str, norm: str, metric: str = "read", noise: float = 0.4
) -> Part:
    """`metric` is a logarithm, so that a difference is one of a ratio."""
    words = "range of activations without norms over that with them"
    return Part(
        name,
        f"{statement} has a third of the range that it has without norms, or less",
        difference(f"{net}, none", f"{net}, {norm}", metric, words=words, unit="times"),
        # The catalogue's factor of 3; there is no upper end.
        Between(3, inf),
        expected=6.0 if metric == "read" else 1.1,
        noise=noise,
    )


CLAIM = Claim(
    slug="activations-stable-range",
    statement="Normalization keeps activations in a stable range.",
    documents=("BatchNorm vs LayerNorm",),
    source="Xiong et al. 2020: with Pre-LN the residual stream grows with depth; a norm bounds "
    "what it gives itself.",
    prediction="partly supported: what norms give is in a stable range, the stream of Pre-LN is "
    "not",
    arms=tuple(
        Arm(f"{net}, {norm}", options={"net": net, "arm": overrides})
        for net, norms in NETS.items()
        for norm, overrides in norms.items()
    ),
    protocols=as_options(
        text_protocols(
            "model.depth=6",
            "model.init=xavier",
            "data.batch_size=8",
            seconds=7.0,
            gpu_overrides=GPU_BATCH,
        )
    ),
    trial=trial,
    clauses=(
        part("BatchNorm", "what layers read in a CNN", "CNN", "BatchNorm"),
        part("LayerNorm", "what layers read in a CNN", "CNN", "LayerNorm"),
        part(
            "Post-LN",
            "what layers read in a transformer, which is the residual stream",
            "transformer",
            "Post-LN",
        ),
        part(
            "Pre-LN, branches", "what the branches of a transformer read", "transformer", "Pre-LN"
        ),
    ),
    scope=(
        part(
            "Pre-LN, stream",
            "the residual stream of a transformer",
            "transformer",
            "Pre-LN",
            "stream",
        ),
    ),
    answers=Answers(
        supported="What a norm gives stays in a steadier range than without it: by "
        "{BatchNorm.effect:.1f} times ({BatchNorm.low:.1f} to {BatchNorm.high:.1f}) in a CNN with "
        "BatchNorm, {Post-LN.effect:.1f} in Post-LN; the stream of Pre-LN, on which no norm "
        "stands, by {Pre-LN, stream.effect:.1f}.",
        refuted="Norms do not make activations three times steadier: {BatchNorm.effect:.1f} times "
        "in a CNN with BatchNorm, {LayerNorm.effect:.1f} with LayerNorm, {Post-LN.effect:.1f} in "
        "Post-LN.",
        partly="Not everywhere three times steadier: {BatchNorm.effect:.1f} times in a CNN with "
        "BatchNorm, {LayerNorm.effect:.1f} with LayerNorm, {Post-LN.effect:.1f} in Post-LN, "
        "{Pre-LN, branches.effect:.1f} in what the branches of Pre-LN read.",
        inconclusive="Not all is decided: steadier by {BatchNorm.effect:.1f} times in a CNN with "
        "BatchNorm, {LayerNorm.effect:.1f} with LayerNorm, {Post-LN.effect:.1f} in Post-LN, "
        "{Pre-LN, branches.effect:.1f} in what the branches of Pre-LN read.",
    ),
    caveats=(
        "Small networks that also train without norms, at learning rates that suit them: what "
        "diverges has no range.",
        "The gain of a norm is learned and moves what it gives; that is part of the range.",
    ),
    would_change="Networks without norms whose activations stay as they are, at an initial scale "
    "made for it.",
    metrics={
        "read": logarithm("range of what layers read, largest RMS over smallest"),
        "stream": logarithm("range of the residual stream, largest RMS over smallest"),
    },
)
