"""What stands beside a batch norm decides whether it is folded; whatever stays says why."""

import pytest
import torch
from fold_cases import conv, folded_like, inputs, used
from torch import nn

from normlab.norms import make_norm


class Net(nn.Module):
    """A forward pass given as a function of the module and its input."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.run = forward
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.run(self, x)


def hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


def tied():
    a, b = conv(), conv()
    b.weight = a.weight
    return {"a": a, "b": b}


class WithActivation(nn.BatchNorm2d):
    """As in timm."""

    def __init__(self, channels):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, x):
        return self.act(self.drop(super().forward(x)))


def never(m, x):
    """torch.fx cannot count with a stand-in."""
    return sum(m.bn(m.a(x)) for _ in range(x.dim()))


PADDED = {"a": conv(kernel=3, padding=1)}
# Forward; modules other than a 1x1 convolution `a` and a batch norm `bn`; words of the reason.
REFUSALS = {
    "zero padding": (lambda m, x: m.a(m.bn(x)), PADDED, "pads with zeros"),
    "padding same": (
        lambda m, x: m.a(m.bn(x)),
        {"a": conv(kernel=3, padding="same")},
        "pads with zeros",
    ),
    "transposed": (
        lambda m, x: m.a(m.bn(x)),
        {"a": nn.ConvTranspose2d(4, 4, 2)},
        "before a transposed",
    ),
    "one of two pads": (
        lambda m, x: m.b(y := m.bn(x)) + m.a(y),
        {"b": conv(), **PADDED},
        "pads with zeros",
    ),
    "ReLU between": (lambda m, x: m.bn(m.a(x).relu()), {}, "comes from relu"),
    "both sides": (lambda m, x: m.bn(x * 2).tanh(), {}, "comes from mul; its output goes to tanh"),
    "shared layer": (lambda m, x: m.bn(m.a(m.a(x))), {}, "a is shared: it is called 2"),
    "shared norm": (lambda m, x: m.bn(m.a(m.bn(x))), {}, "bn is shared"),
    "used elsewhere": (lambda m, x: m.bn(y := m.a(x)) + y, {}, "used by add"),
    "tied weights": (lambda m, x: m.bn(m.a(m.b(x))), tied(), "shares its weights"),
    "read": (lambda m, x: m.bn(m.a(x)) * m.bn.weight.sum(), {}, "used outside"),
    "hook": (lambda m, x: m.bn(m.a(x)), {"a": hooked(conv())}, "hooks"),
    "no statistics": (
        lambda m, x: m.bn(m.a(x)),
        {"bn": nn.BatchNorm2d(4, track_running_stats=False)},
        "no running",
    ),
    "batch's own": (
        lambda m, x: m.bn(m.a(x)),
        {"bn": make_norm("batchnorm", 4, statistics="batch")},
        "does more",
    ),
    "other axis": (lambda m, x: m.bn(m.a(x)), {"a": nn.Linear(4, 4)}, "not those of the Linear"),
    "activation": (
        lambda m, x: m.a(m.bn(x)),
        {"bn": WithActivation(4)},
        "an activation of its own",
    ),
    "untraceable": (never, {}, "torch.fx cannot trace Net"),
    "unreached": (lambda m, x: m.a(x), {}, "does not reach it"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refuses_and_says_why(case):
    forward, modules, reason = REFUSALS[case]
    model = Net(forward, **{"a": conv(), "bn": nn.BatchNorm2d(4), **modules})
    folded_like(used(model), inputs(2, 4, 4, 4), [], {"bn": reason})


def test_dropout_at_work_is_in_the_way():
    model = used(nn.Sequential(conv(), nn.Dropout(0.0), nn.BatchNorm2d(4)))
    model[1].train()
    folded_like(model, inputs(2, 4, 4, 4), [], {"2": "comes from 1"})


def test_refuses_what_is_written_over_before_the_layer_reads_it():
    def forward(m, x):
        x = x + 0
        y = m.bn(x)
        x.relu_()
        return m.a(y)

    folded_like(
        used(Net(forward, a=conv(), bn=nn.BatchNorm2d(4))),
        inputs(2, 4, 4, 4),
        [],
        {"bn": "writes in place"},
    )


def test_an_untraceable_part_leaves_the_rest_alone():
    part = Net(never, a=conv(), bn=nn.BatchNorm2d(4))
    model = used(nn.Sequential(conv(), nn.BatchNorm2d(4), part, conv(), nn.BatchNorm2d(4)))
    folded_like(model, inputs(2, 4, 4, 4), ["1", "4"], {"2.bn": "cannot trace Net"})


def test_calls_of_the_function_are_named():
    def forward(m, x):
        return nn.functional.batch_norm(m.a(x), m.mean, m.var)

    model = used(
        Net(forward, a=conv(), mean=nn.Parameter(torch.zeros(4)), var=nn.Parameter(torch.ones(4)))
    )
    folded_like(model, inputs(2, 4, 4, 4), [], {"batch_norm": "no module"})
