"""Normalization improves the flow of gradients.

Said by: "BatchNorm vs LayerNorm" (a lesson). Primary source: Yang et al. 2019, whose mean-field theory says the
opposite of batch normalization without skips: it is itself the cause of gradients that explode with depth.
Measured in a ReLU MLP of 20 hidden layers: how many decades the loss gradients at the outputs of the first and the last
hidden linear layer lie apart, at He's initial scale and at half and twice of it, before training and after 200 steps
(at the learning rate, of three, with the lowest training loss). Each such cell is a part.
The last two parts are the growth of the squared gradient per layer at He's scale. In the mean-field limit a ReLU layer
keeps it, and BN divides it by the variance of its input, (pi - 1) / pi at He's scale: 1.47 per layer.

    normlab run norm-gradient-flow --profile cpu        about a minute on 2 cores
"""

import math

from normlab.claims.claim import Arm, Claim, Part, Protocol
from normlab.claims.rules import greater_by, ratio_in_interval

GAINS = (0.5, 1.0, 2.0)
NAMES = {"batchnorm": "BN", "layernorm": "LN"}
RATES = (0.001, 0.01, 0.1)


def trial(options, seed):
    """`decades_before`, `decades_after` (training) and `log_growth` of the squared gradient per layer, before."""
    import torch
    from torch import nn

    from normlab.config import compose
    from normlab.data import load_data
    from normlab.models import build_model
    from normlab.training.optim import build_optimizer, learning_rate
    from normlab.training.step import loss_of, train_steps

    kind, depth, gain, steps = (options[name] for name in ("kind", "depth", "gain", "steps"))
    net = (f"norm={kind}", "model=mlp", "model.width=64", f"model.depth={depth}", f"model.init_gain={gain}")
    cfg = compose([*net, *options["data"], f"seed={seed}"])
    data = load_data(cfg.data, seed)

    def gradient_norms(model):
        """(depth,) at the outputs of the hidden linear layers, over four batches that training does not reach."""
        outputs = []

        def note(module, inputs, output):
            output.retain_grad()
            outputs.append(output)

        layers = [module for module in model.modules() if isinstance(module, nn.Linear)][:-1]
        hooks = [layer.register_forward_hook(note) for layer in layers]
        squares = torch.zeros(depth, dtype=torch.float64)
        for step in range(steps, steps + 4):
            outputs.clear()
            loss_of(model, *data.batch(step)).backward()
            squares += torch.stack([output.grad.double().square().sum() for output in outputs])
        for hook in hooks:
            hook.remove()
        model.zero_grad()
        return squares.sqrt()

    def decades(norms):
        return abs(math.log10(float(norms[0]) / float(norms[-1])))

    before = gradient_norms(build_model(cfg, data.modality, data.input_shape, data.num_outputs))
    lowest, after = math.inf, before  # a net that no rate trains stays what it was
    for rate in RATES:
        cfg.optim.lr = rate
        model = build_model(cfg, data.modality, data.input_shape, data.num_outputs)
        optimizer = build_optimizer(cfg.optim, model)
        losses = train_steps(model, optimizer, learning_rate(cfg.optim, steps), data.batch, 0, steps)
        loss = float(losses[-20:].mean())
        norms = gradient_norms(model)
        if loss < lowest and bool((norms > 0).all()) and math.isfinite(float(norms.sum())):
            lowest, after = loss, norms
    inner = 2 * before[1:-1].log()  # of the square; the ends have neighbours of other kinds
    growth = float(inner[0] - inner[-1]) / (len(inner) - 1)
    return {
        "decades_before": decades(before),
        "decades_after": decades(after),
        "log_growth": growth,
        "train_loss": lowest if math.isfinite(lowest) else None,
        "data": {"name": data.name, "fingerprint": data.fingerprint},
    }


def cell(kind, gain, when):
    """Decades by which the ends are nearer to each other with the norm than without, per seed."""
    return Part(
        f"{NAMES[kind]}, scale {gain:g}, {when}",
        f"{NAMES[kind]} brings first and last gradient together by a factor of 2",
        "decades(none) - decades(norm): supported from 0.3, refuted below 0.15",
        lambda evidence: greater_by(
            evidence.values(f"none {gain:g}", f"decades_{when}")
            - evidence.values(f"{kind} {gain:g}", f"decades_{when}"),
            0.3,
            "decades",
        ),
    )


def growth(kind):
    return Part(
        f"{NAMES[kind]}, growth per layer",
        f"a plain {NAMES[kind]} layer hands the squared gradient on as it is",
        "growth of the squared gradient per layer at He's scale between 1 / 1.1 and 1.1",
        lambda evidence: ratio_in_interval(evidence.values(f"{kind} 1", "log_growth"), 1 / 1.1, 1.1),
    )


_CIFAR = ("data=cifar10", "data.subset=5000", "data.eval_subset=500", "data.image_size=16")

CLAIM = Claim(
    slug="norm-gradient-flow",
    statement="Normalization improves the flow of gradients through the layers.",
    documents=("BatchNorm vs LayerNorm",),
    source="Yang et al. 2019: batch normalization itself makes gradients explode with depth in nets without skips.",
    prediction="partly supported: better at bad scales only, and BN worse than no norm at He's scale (1.44 per layer)",
    arms=tuple(
        Arm(f"{kind} {gain:g}", options={"kind": kind, "gain": gain})
        for kind in ("none", "batchnorm", "layernorm")
        for gain in GAINS
    ),
    protocols={
        "cpu": Protocol(options={"depth": 20, "steps": 200, "data": _CIFAR}, seeds=5, seconds_per_trial=4.0),
        "cpu-embedded": Protocol(options={"depth": 20, "steps": 200, "data": ("data=digits",)}, seeds=5),
        "smoke": Protocol(options={"depth": 4, "steps": 3, "data": ("data=digits",)}, seeds=1, seconds_per_trial=0.1),
    },
    trial=trial,
    parts=(
        *(cell(kind, gain, when) for kind in NAMES for gain in GAINS for when in ("before", "after")),
        *(growth(kind) for kind in NAMES),
    ),
    caveats=(
        "Gradients at layer outputs: those of the weights of a ReLU net without norm are balanced at every scale: "
        "activations gain forwards what gradients lose backwards.",
        "A net that none of the three rates trains counts after training with what it was before.",
        "MLPs without skips; a skip hands the gradient on by itself.",
    ),
    would_change="A BN net without skips whose gradient does not grow with depth.",
)
