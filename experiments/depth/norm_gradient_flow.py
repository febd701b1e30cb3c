"""Normalization improves the flow of gradients.

Said by: "BatchNorm vs LayerNorm" (a lesson).
Primary source: Yang et al. 2019, whose mean-field theory says the opposite of batch normalization
without skips: it is itself the cause of gradients that explode with depth.
Measured: in a ReLU MLP of 20 hidden layers, how many decades the loss gradients at the outputs of
the first and the last hidden linear layer lie apart, at He's initial scale, half and twice of it,
before training and after 1,000 steps (200 in quick), at the rate, of three, with the lowest
training loss; a net that none of them trains stays what it was. The customary scale, before
training, decides. The last two parts are the growth of the squared gradient per layer at He's
scale. In the mean-field limit a ReLU layer keeps it, and BN divides it by the variance of its
input, (pi - 1) / pi at He's scale: 1.47 per layer.
Cost: normlab run norm-gradient-flow --profile full    45 trials to its first look, 11 minutes of
one core
"""

import math

from normlab.claims.answers import Answers
from normlab.claims.claim import Arm, Claim, Options, Part, Protocol
from normlab.claims.looks import Looks
from normlab.claims.metrics import logarithm
from normlab.claims.quantity import difference, value
from normlab.claims.rules import AtLeast, Between
from normlab.records.measurement import Measurement

SCALES = {0.5: "half scale", 1.0: "scale 1", 2.0: "twice the scale"}  # of He's
GAINS = tuple(SCALES)
NAMES = {"batchnorm": "BN", "layernorm": "LN"}
CIFAR = ("data=cifar10", "data.subset=5000", "data.eval_subset=500", "data.image_size=16")


def trial(options: Options, seed: int) -> Measurement:
    """`decades_before` and `decades_after` training, and `log_growth` per layer, before.

    The growth is of the squared gradient.
    """
    from normlab.config.compose import compose
    from normlab.measure.gradients import flow_before_and_after

    net = (
        "model=mlp",
        "model.width=64",
        f"model.depth={options['depth']}",
        f"model.init_gain={options['gain']}",
    )
    cfg = compose([*options["overrides"], *net, f"norm={options['kind']}", f"seed={seed}"])
    before, after, data = flow_before_and_after(cfg, options["steps"], rates=(0.001, 0.01, 0.1))
    # The first and the last layer have neighbours of other kinds.
    # 2: of the squared gradient.
    inner = [2 * math.log(norm) for norm in before[1:-1]]
    metrics = {
        # Exploding or vanishing: either way the ends lie apart.
        "decades_before": abs(math.log10(before[0] / before[-1])),
        "decades_after": abs(math.log10(after[0] / after[-1])),
        # Per layer, from the last to the first, as the gradient runs.
        "log_growth": (inner[0] - inner[-1]) / (len(inner) - 1),
    }
    return Measurement(metrics, data)


def cell(kind: str, gain: float, when: str) -> Part:
    """Decades by which the ends are nearer to each other with the norm than without."""
    apart = f"distance of the first from the last gradient, {when} training at scale {gain:g}"
    words = f"{apart}, none - {NAMES[kind]}"
    arms = f"none {gain:g}", f"{kind} {gain:g}"
    name = f"{NAMES[kind]}, {SCALES[gain]}, {when}"
    read = difference(*arms, f"decades_{when}", words=words, unit="decades")
    if (gain, when) == (1.0, "before"):
        # The claim names no size. Without a norm the ends lie some 0.1 decades apart here, so that
        # no norm could bring them together by a factor of 2.
        statement = f"{NAMES[kind]} brings first and last gradient nearer together"
        expected = {"batchnorm": -1.26, "layernorm": -0.09}[kind]
        return Part(name, statement, read, AtLeast(0.0), expected=expected, noise=0.12)
    statement = f"{NAMES[kind]} brings first and last gradient together by a factor of 2"
    return Part(name, statement, read, AtLeast(math.log10(2)))


def growth(kind: str) -> Part:
    words = f"growth of the squared gradient per {NAMES[kind]} layer at He's scale"
    return Part(
        f"{NAMES[kind]}, growth per layer",
        f"a plain {NAMES[kind]} layer hands the squared gradient on as it is",
        value(f"{kind} 1", "log_growth", words=words, unit="times"),
        # "As it is": to a tenth, either way.
        Between(1 / 1.1, 1.1),
    )


def protocol(
    depth: int, steps: int, *overrides: str, looks: Looks, seconds: float = 3.0
) -> Protocol:
    # Overrides twice: they say which data a protocol needs, and the trial reads its options.
    options = {"depth": depth, "steps": steps, "overrides": overrides}
    return Protocol(overrides, options, looks=looks, seconds_per_trial=seconds)


CLAIM = Claim(
    slug="norm-gradient-flow",
    statement="Normalization improves the flow of gradients through the layers.",
    documents=("BatchNorm vs LayerNorm",),
    source="Yang et al. 2019: batch normalization itself makes gradients explode with depth in "
    "nets without skips.",
    prediction="partly supported: better at bad scales only, and BN worse than no norm at He's "
    "scale (1.44 per layer)",
    arms=tuple(
        Arm(f"{kind} {gain:g}", options={"kind": kind, "gain": gain})
        for kind in ("none", *NAMES)
        for gain in GAINS
    ),
    protocols={
        "quick": protocol(20, 200, *CIFAR, looks=Looks()),
        "quick-embedded": protocol(20, 200, "data=digits", looks=Looks()),
        "full": protocol(20, 1000, *CIFAR, looks=Looks(), seconds=15.0),
        "full-embedded": protocol(20, 1000, "data=digits", looks=Looks(), seconds=15.0),
        "smoke": protocol(4, 3, "data=digits", looks=Looks((1,)), seconds=0.1),
    },
    trial=trial,
    clauses=(cell("batchnorm", 1.0, "before"), cell("layernorm", 1.0, "before")),
    scope=(
        *(
            cell(kind, gain, when)
            for kind in NAMES
            for gain in GAINS
            for when in ("before", "after")
            if (gain, when) != (1.0, "before")
        ),
        *map(growth, NAMES),
    ),
    answers=Answers(
        supported="At He's initial scale first and last gradient are nearer to each other with "
        "norms: by {BN, scale 1, before.effect:.1f} decades with BatchNorm and "
        "{LN, scale 1, before.effect:.1f} with LayerNorm.",
        refuted="At He's initial scale, the customary one, norms do not bring the first and the "
        "last of 20 gradients nearer: they lie {BN, scale 1, before.size:.2f} factors of ten "
        "farther apart with BatchNorm and {LN, scale 1, before.size:.2f} with LayerNorm; at half "
        "that scale norms bring them {BN, half scale, before.effect:.1f} and "
        "{LN, half scale, before.effect:.1f} factors of ten nearer.",
        partly="At He's initial scale one of two norms helps: first and last gradient come nearer "
        "by {BN, scale 1, before.effect:+.2f} decades with BatchNorm and by "
        "{LN, scale 1, before.effect:+.2f} with LayerNorm.",
        inconclusive="At He's initial scale first and last gradient come nearer by "
        "{BN, scale 1, before.effect:+.2f} decades with BatchNorm and by "
        "{LN, scale 1, before.effect:+.2f} ({LN, scale 1, before.low:.2f} to "
        "{LN, scale 1, before.high:.2f}) with LayerNorm: not both are decided.",
    ),
    caveats=(
        "20 layers 64 wide; 200 steps in quick. A net that no rate trains stays what it was: its "
        "parts after training are those before.",
        "Distance is the size of a logarithm: gradients that only vary lie apart, too.",
        "At layer outputs: without norm the gradients of a ReLU net's weights are balanced at "
        "every scale, since activations gain forwards what gradients lose backwards.",
        "MLPs without skips; a skip hands the gradient on by itself.",
    ),
    would_change="A BN net without skips whose gradient does not grow with depth.",
    metrics={
        "decades_before": "distance of first and last gradient before training, decades",
        "decades_after": "distance of first and last gradient after training, decades",
        "log_growth": logarithm("growth of the squared gradient per layer, before training, times"),
    },
)
