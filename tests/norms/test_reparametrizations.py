"""Reparametrized weights: which ones, what they become; the random state stays as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.norms.reparametrizations import KINDS, apply_reparam

REAL = [kind for kind in KINDS if kind != "none"]


class Tied(nn.Module):
    """An embedding whose weight the output layer shares."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(7, 6)
        self.hidden = nn.Linear(6, 6)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        return self.head(self.hidden(self.tokens(ids)))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 9, 5),
    )


def images():
    return torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))


def test_none_changes_nothing():
    model = network()
    before = dict(model.named_parameters())
    assert apply_reparam(model, "none") is model
    assert dict(model.named_parameters()) == before


@pytest.mark.parametrize("kind", REAL)
def test_convolutions_and_linear_layers_are_reparametrised(kind):
    model = apply_reparam(network(), kind)
    assert parametrize.is_parametrized(model[0], "weight")
    assert parametrize.is_parametrized(model[4], "weight") is (kind != "weight_standardization")
    assert not parametrize.is_parametrized(model[1])


def test_weightnorm_starts_at_the_same_function():
    torch.testing.assert_close(
        apply_reparam(network(), "weightnorm")(images()), network()(images())
    )


def test_weightnorm_learns_length_and_direction_apart():
    conv = apply_reparam(network(), "weightnorm")[0]
    before = conv.weight.detach().clone()
    with torch.no_grad():
        conv.parametrizations.weight.original0.mul_(3)  # lengths
        conv.parametrizations.weight.original1.mul_(2)  # directions, whose length is divided out
    torch.testing.assert_close(conv.weight, 3 * before)


def test_spectralnorm_divides_by_the_largest_singular_value():
    model = apply_reparam(network(), "spectralnorm")
    for _ in range(50):  # one power iteration each
        model(images())
    for layer in (model[0], model[4]):
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        torch.testing.assert_close(largest, torch.tensor(1.0), rtol=1e-3, atol=1e-3)


def test_weight_standardization_is_its_formula():
    plain, model = network(), apply_reparam(network(), "weight_standardization")
    weight = plain[0].weight
    mean = weight.mean((1, 2, 3), keepdim=True)
    variance = (weight - mean).pow(2).mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(model[0].weight, (weight - mean) / (variance + 1e-5).sqrt())
    torch.testing.assert_close(
        model[0](images()), F.conv2d(images(), (weight - mean) / (variance + 1e-5).sqrt())
    )
    assert torch.equal(model[4].weight, plain[4].weight)


def test_a_depthwise_1x1_convolution_has_nothing_to_standardise():
    model = apply_reparam(nn.Sequential(nn.Conv2d(4, 4, 1, groups=4)), "weight_standardization")
    assert not parametrize.is_parametrized(model[0])


@pytest.mark.parametrize("kind", REAL)
def test_a_tied_weight_stays_tied(kind):
    model = apply_reparam(Tied(), kind)
    assert model.head.weight is model.tokens.weight
    assert parametrize.is_parametrized(model.hidden) is (kind != "weight_standardization")


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_trains_every_parameter_and_leaves_the_random_state(kind):
    model = network()
    before = torch.get_rng_state()
    apply_reparam(model, kind)
    assert torch.equal(torch.get_rng_state(), before)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    F.cross_entropy(model(images()), torch.tensor([0, 1, 2, 3])).backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, start[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_model_twice_and_its_state(kind):
    first, second = apply_reparam(network(), kind), apply_reparam(network(), kind)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    first(images())
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.eval()(images()), second.eval()(images()))


def test_refusals():
    with pytest.raises(
        NormLabError,
        match="unknown reparam 'foo': choose one of none, weightnorm, spectralnorm, weight_s",
    ):
        apply_reparam(network(), "foo")
    with pytest.raises(NormLabError, match="reparametrised already"):
        apply_reparam(apply_reparam(network(), "weightnorm"), "weightnorm")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_configuration(kind):
    assert compose([f"reparam={kind}"]).reparam.kind == kind
