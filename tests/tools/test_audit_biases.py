"""audit: biases that a batch norm subtracts again have no gradient, and all others have one."""

import pytest
import torch
import torch.nn.functional as F
from audited_networks import names
from torch import nn

import normlab
from normlab.norms import make_norm


class Network(nn.Module):
    """Two convolutions, a batch norm, and what `between` makes of their outputs."""

    def __init__(self, between, features=6, padding=0):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 6, 1)
        self.third = nn.Conv2d(features, features, 3, padding=padding)
        self.pool, self.drop = nn.MaxPool2d(3, 1, padding=1), nn.Dropout2d(0.5)
        self.padded = nn.AvgPool2d(3, 1, padding=1)
        self.average = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
        self.norm, self.head = nn.BatchNorm2d(features), nn.Linear(features, 2)
        self.between = between

    def forward(self, x):
        return self.head(self.norm(self.between(self, self.one(x), self.two(x))).mean((2, 3)) ** 2)


def written_later(net, a, b):
    c = a * 2
    a += b
    return F.relu(a) + c


@pytest.mark.parametrize(
    "between, dead",
    [
        (lambda net, a, b: a + 0.5 * b, {"one", "two"}),
        (lambda net, a, b: a.sub_(torch.add(b, b)), {"one", "two"}),
        (lambda net, a, b: net.pool(a) + F.interpolate(b, a.shape[2:]), {"one", "two"}),
        (lambda net, a, b: F.relu(a) + b, {"two"}),
        (lambda net, a, b: a * b, set()),
        (lambda net, a, b: net.drop(a) + b, {"two"}),
        (lambda net, a, b: a * torch.rand_like(a[:, :1]).round() + b, {"two"}),
        (lambda net, a, b: net.padded(a) + net.average(b), {"two"}),
        (lambda net, a, b: net.third(a), {"one", "third"}),
        (lambda net, a, b: torch.cat([a, b], 2), set()),
        (written_later, set()),
    ],
)
def test_dead_biases_are_those_without_a_gradient(between, dead):
    model = Network(between).double()
    found = [f for f in normlab.audit(model, batch_per_device=64) if f.layers != ("norm",)]
    assert {finding.layers[0] for finding in found} == dead
    assert {finding.name for finding in found} <= {"bias-before-batch-norm"}
    model(torch.randn(16, 3, 7, 7, dtype=torch.float64)).sum().backward()
    for name in ("one", "two", "third"):
        gradient = getattr(model, name).bias.grad
        if gradient is not None and name in dead:
            assert float(gradient.abs().max()) < 1e-12
        elif gradient is not None:
            assert float(gradient.abs().max()) > 1e-4, name


def test_concatenated_channels_and_padded_layers():
    both = Network(lambda net, a, b: torch.cat([a, b], 1), features=12)
    assert [found.layers for found in normlab.audit(both)] == [("one",), ("two",)]
    padded = Network(lambda net, a, b: net.third(a), padding=1)
    (found,) = normlab.audit(padded)
    assert found.layers == ("third",) and "goes to norm alone, which" in found.reason
    padded.third.padding_mode = "circular"
    assert len(normlab.audit(padded)) == 2


def test_a_linear_layer_in_front_of_a_batch_norm():
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    found = normlab.audit(model, torch.randn(32, 5)).findings
    assert [f.layers for f in found] == [("0",), ("1",)]
    assert "of 4 values goes to 2 alone, through sums and the like, which" in found[0].reason
    assert not found[0].evidence and "no claim decides yet" in str(found[0])
    model(torch.randn(32, 5)).pow(3).sum().backward()
    assert float(model[0].bias.grad.abs().max()) < 1e-4 < float(model[2].bias.grad.abs().max())
    # Over positions, what is the same in a feature is not the same in a channel.
    sequences = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))
    assert len(normlab.audit(sequences, torch.randn(32, 4, 5))) == 0
    last = nn.Sequential(nn.Linear(5, 4), make_norm("batchnorm", 4, "NTC"))
    assert "bias-before-batch-norm" in names(last, torch.randn(32, 7, 5))


def test_a_bias_that_two_layers_share_is_not_read():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    assert len(normlab.audit(model)) == 1
    model[0].bias = model[2].bias
    assert len(normlab.audit(model)) == 0


def test_an_untraceable_model_says_that_nothing_was_looked_for():
    class Checked(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

        def forward(self, x):
            if x.shape[1] != 3:
                raise ValueError
            return self.body(x)

    model = Checked()
    assert "bias-before-batch-norm at body.1: torch.fx" in str(normlab.audit(model))
    model.body[1].running_mean.fill_(1.0)
    # Folding looks at what an untraceable forward calls.
    (finding,) = normlab.audit(model.eval()).findings
    assert (finding.name, finding.layers) == ("foldable", ("body.1",))


def test_what_cannot_be_traced_says_that_nothing_was_looked_for_in_eval_mode_too():
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            for _ in range(x.dim()):
                x = self.bn(self.conv(x))
            return x

    model = Counted().eval()
    model.bn.running_mean.fill_(1.0)
    assert "not looked for: foldable at bn: torch.fx" in str(normlab.audit(model))
