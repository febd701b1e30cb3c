"""Normalization improves the flow of gradients.

Said by: "BatchNorm vs LayerNorm" (a lesson). Primary source: Yang et al. 2019, whose mean-field theory says the
opposite of batch normalization without skips: it is itself the cause of gradients that explode with depth.
In a ReLU MLP of 20 hidden layers: how many decades the loss gradients at the outputs of the first and the last hidden
linear layer lie apart, at He's initial scale, half and twice of it, before training and after 200 steps (at the rate,
of three, with the lowest training loss; a net that none of them trains stays what it was). Each such cell is a part.
The last two parts are the growth of the squared gradient per layer at He's scale. In the mean-field limit a ReLU layer
keeps it, and BN divides it by the variance of its input, (pi - 1) / pi at He's scale: 1.47 per layer.

    normlab run norm-gradient-flow --profile cpu        about a minute on 2 cores
"""

import math

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import greater_by, ratio_in_interval

GAINS = (0.5, 1.0, 2.0)
NAMES = {"batchnorm": "BN", "layernorm": "LN"}
CIFAR = ("data=cifar10", "data.subset=5000", "data.eval_subset=500", "data.image_size=16")


def trial(options, seed):
    """`decades_before`, `decades_after` (training) and `log_growth` of the squared gradient per layer, before."""
    from normlab.config.schema import compose
    from normlab.measure.gradients import flow_before_and_after

    net = (
        "model=mlp",
        "model.width=64",
        f"model.depth={options['depth']}",
        f"model.init_gain={options['gain']}",
    )
    cfg = compose([*options["overrides"], *net, f"norm={options['kind']}", f"seed={seed}"])
    before, after, data = flow_before_and_after(cfg, options["steps"], rates=(0.001, 0.01, 0.1))
    first, *_, last = inner = [
        2 * math.log(norm) for norm in before[1:-1]
    ]  # the ends have neighbours of other kinds
    return {
        "decades_before": abs(math.log10(before[0] / before[-1])),
        "decades_after": abs(math.log10(after[0] / after[-1])),
        "log_growth": (first - last) / (len(inner) - 1),
        "data": data,
    }


def cell(kind, gain, when):
    """Decades by which the ends are nearer to each other with the norm than without."""

    def decide(evidence):
        with_norm, without = (
            evidence.values(f"{name} {gain:g}", f"decades_{when}") for name in (kind, "none")
        )
        return greater_by(without - with_norm, 0.3, "decades")

    return Part(
        f"{NAMES[kind]}, scale {gain:g}, {when}",
        f"{NAMES[kind]} brings first and last gradient together by a factor of 2",
        "decades(none) - decades(norm): supported from 0.3, refuted below 0.15",
        decide,
    )


def growth(kind):
    return Part(
        f"{NAMES[kind]}, growth per layer",
        f"a plain {NAMES[kind]} layer hands the squared gradient on as it is",
        "growth of the squared gradient per layer at He's scale between 1 / 1.1 and 1.1",
        lambda evidence: ratio_in_interval(
            evidence.values(f"{kind} 1", "log_growth"), 1 / 1.1, 1.1
        ),
    )


def protocol(depth, steps, *overrides, **amounts):
    return Protocol(overrides, {"depth": depth, "steps": steps, "overrides": overrides}, **amounts)


CLAIM = Claim(
    slug="norm-gradient-flow",
    statement="Normalization improves the flow of gradients through the layers.",
    documents=("BatchNorm vs LayerNorm",),
    source="Yang et al. 2019: batch normalization itself makes gradients explode with depth in nets without skips.",
    prediction="partly supported: better at bad scales only, and BN worse than no norm at He's scale (1.44 per layer)",
    arms=tuple(
        Arm(f"{k} {g:g}", options={"kind": k, "gain": g}) for k in ("none", *NAMES) for g in GAINS
    ),
    protocols={
        "cpu": protocol(20, 200, *CIFAR, seeds=5, seconds_per_trial=3.0),
        "cpu-embedded": protocol(20, 200, "data=digits", seeds=5, seconds_per_trial=3.0),
        "smoke": protocol(4, 3, "data=digits", seeds=1, seconds_per_trial=0.1),
    },
    trial=trial,
    parts=(
        *(cell(k, g, when) for k in NAMES for g in GAINS for when in ("before", "after")),
        *map(growth, NAMES),
    ),
    caveats=(
        "At layer outputs: without norm the gradients of a ReLU net's weights are balanced at every scale, since "
        "activations gain forwards what gradients lose backwards.",
        "MLPs without skips; a skip hands the gradient on by itself.",
    ),
    would_change="A BN net without skips whose gradient does not grow with depth.",
)
