"""Normalization keeps activations in a stable range.

Said by: "BatchNorm vs LayerNorm" (a lesson). Range: the largest over the smallest root mean square of the activations,
over layers and over the course of a training (11 moments), each network at the one of three learning rates with the
lowest training loss. Compared with the same network without norms, where the same places are looked at. These are what
layers read, which is what a norm gave (LayerNorm before each branch or after each sum of a transformer; BatchNorm or
LayerNorm in a CNN on digits), and for Pre-LN the residual stream itself, too, on which no norm stands. The catalogue's
bound: a range that is smaller by a factor of 3.

    normlab run activations-stable-range --profile cpu        2 minutes on 2 cores
"""

from normlab.claims.claim import Arm, Claim, Part
from normlab.claims.protocols.overrides import as_options
from normlab.claims.protocols.text import GPU_BATCH, text_protocols
from normlab.claims.rules import ratio_in_interval

ARMS = {
    "transformer, none": ("norm=none",),
    "transformer, Pre-LN": ("norm=layernorm",),
    "transformer, Post-LN": ("norm=layernorm", "model.placement=post"),
    "CNN, none": ("norm=none",),
    "CNN, BatchNorm": ("norm=batchnorm",),
    "CNN, LayerNorm": ("norm=layernorm",),
}
CNN = ("model=plaincnn", "model.width=16", "data=digits", "data.batch_size=64", "optim=sgd")


def trial(options, seed):
    """Logarithms of the ranges: `read` at the places of norms, `stream` after the blocks of a transformer."""
    from normlab.config.schema import compose
    from normlab.data import load_data
    from normlab.measure.states import course_of_training, log_range

    budget = tuple(override for override in options["overrides"] if override.startswith("trainer."))
    # Both data sets are this claim's, whichever an arm trains on.
    sets = [load_data(compose(list(o)).data, seed) for o in (options["overrides"], (*CNN, *budget))]
    data = {key: " and ".join(getattr(one, key) for one in sets) for key in ("name", "fingerprint")}
    if options["net"] == "CNN":
        course, _ = course_of_training(
            (*CNN, *budget, *options["arm"]), seed, rates=(0.01, 0.03, 0.1)
        )
        return {"read": log_range(course, "read"), "data": data}
    course, _ = course_of_training(
        (*options["overrides"], *options["arm"]), seed, rates=(0.001, 0.003, 0.01)
    )
    growth = course[-1]["stream"][-1] / course[-1]["stream"][0]
    return {
        **{what: log_range(course, what) for what in ("read", "stream")},
        "stream_growth": growth,
        "data": data,
    }


def part(name, statement, arm, metric="read"):
    def decide(evidence):
        without = evidence.values(f"{arm.split(',')[0]}, none", metric)
        return ratio_in_interval(without - evidence.values(arm, metric), 3, float("inf"))

    rule = (
        "range without norms over range with them above 3 with its 95 % interval; refuted below it"
    )
    return Part(
        name,
        f"{statement} has a third of the range that it has without norms, or less",
        rule,
        decide,
    )


CLAIM = Claim(
    slug="activations-stable-range",
    statement="Normalization keeps activations in a stable range.",
    documents=("BatchNorm vs LayerNorm",),
    source="Xiong et al. 2020: with Pre-LN the residual stream grows with depth; a norm bounds what it gives itself.",
    prediction="partly supported: what norms give is in a stable range, the stream of Pre-LN is not",
    arms=tuple(
        Arm(name, options={"net": name.split(",")[0], "arm": given}) for name, given in ARMS.items()
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
    parts=(
        part("BatchNorm", "what layers read in a CNN", "CNN, BatchNorm"),
        part("LayerNorm", "what layers read in a CNN", "CNN, LayerNorm"),
        part(
            "Post-LN",
            "what layers read in a transformer, which is the residual stream",
            "transformer, Post-LN",
        ),
        part("Pre-LN, branches", "what the branches of a transformer read", "transformer, Pre-LN"),
        part(
            "Pre-LN, stream",
            "the residual stream of a transformer",
            "transformer, Pre-LN",
            "stream",
        ),
    ),
    caveats=(
        "Small networks that also train without norms, at learning rates that suit them: what diverges has no range.",
        "The gain of a norm is learned and moves what it gives; that is part of the range.",
    ),
    would_change="Networks without norms whose activations stay as they are, at an initial scale made for it.",
)
