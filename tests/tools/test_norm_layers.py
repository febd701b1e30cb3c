"""Which layers are norms, of which kind, with which gain and shift; which cannot be read, why."""

import re

import pytest
import torch
from norm_layers_of_others import Cubed, Gated, Gemma, LayerNormFirst, Named, drawn
from torch import nn
from torch.nn.utils import parametrizations

import normlab
from normlab.norms import make_norm
from normlab.tools.eps import eps_of
from normlab.tools.norm_layers import find_norms
from normlab.tools.survey import listed_norms


@pytest.mark.parametrize(
    "layer, kind, channels",
    [
        (nn.BatchNorm1d(8), "batchnorm", "first"),
        (nn.BatchNorm2d(8), "batchnorm", "NCHW"),
        (nn.BatchNorm3d(8), "batchnorm", "NCDHW"),
        (nn.SyncBatchNorm(8), "syncbatchnorm", "first"),
        (nn.GroupNorm(2, 8), "groupnorm", "first"),
        (nn.InstanceNorm2d(8, affine=True), "instancenorm", "NCHW"),
        (nn.LayerNorm(8), "layernorm", "last"),
        (nn.RMSNorm(8), "rmsnorm", "last"),
        (LayerNormFirst(8), "channel_layernorm", "first"),
        (Gemma(8), "rmsnorm", "last"),
        (make_norm("frn", 8, "NCHW"), "frn", "NCHW"),
        (make_norm("dyt", 8, "NTC"), "dyt", "NTC"),
        (make_norm("batchnorm", 8, "NC", frozen=True), "frozen_batchnorm", "NC"),
    ],
)
def test_kinds_are_recognised(layer, kind, channels):
    (found,) = find_norms(nn.Sequential(layer))
    assert (found.kind, found.features, found.channels) == (kind, 8, channels)


def test_gain_and_shift_are_read_off_the_outputs():
    layer = drawn(Gemma(8))
    (found,) = find_norms(nn.Sequential(layer))
    torch.testing.assert_close(found.weight, 1 + layer.weight)
    assert found.bias is None
    layer = drawn(LayerNormFirst(8))
    (found,) = find_norms(nn.Sequential(layer))
    assert found.weight is layer.weight and found.bias is layer.bias


@pytest.mark.parametrize(
    "gain, shift", [("gamma", "beta"), ("a_2", "b_2"), ("scale", "shift"), ("weight", "bias")]
)
def test_gain_and_shift_are_told_apart_by_what_they_do(gain, shift):
    for layer in (drawn(Named(8, gain, shift)), Named(8, gain, shift)):
        (found,) = find_norms(nn.Sequential(layer))
        assert found.weight is getattr(layer, gain) and found.bias is getattr(layer, shift)
    layer = Named(8, gain, shift, plus=1.0)  # both zeros
    (found,) = find_norms(nn.Sequential(layer))
    assert bool((found.weight == 1).all()) and found.bias is getattr(layer, shift)
    layer = drawn(Named(8, gain, shift, twice=2.0))
    (found,) = find_norms(nn.Sequential(layer))
    assert found.weight is getattr(layer, gain)
    torch.testing.assert_close(found.bias, 2 * getattr(layer, shift))


@pytest.mark.parametrize(
    "stated, found", [(None, ""), ("wide", ""), (8, "layernorm"), ([8], "layernorm")]
)
def test_layers_without_parameters_are_known_by_the_shape_that_they_state(stated, found):
    class Bare(nn.Module):
        normalized_shape = stated

        def forward(self, x):
            return nn.functional.layer_norm(x, x.shape[-1:])

    assert "".join(norm.kind for norm in find_norms(nn.Sequential(Bare()))) == found


def test_lazy_layers_are_no_hindrance():
    assert find_norms(nn.Sequential(nn.LazyLinear(3), nn.LazyConv2d(3, 1))) == []


def test_what_is_no_norm_is_not_one():
    for layer in (
        nn.PReLU(8),
        nn.Linear(8, 8),
        nn.Embedding(8, 8),
        nn.Conv2d(8, 8, 1),
        nn.ReLU(),
        nn.Dropout(),
    ):
        assert find_norms(nn.Sequential(layer)) == []
    reparametrised = nn.Sequential(parametrizations.weight_norm(nn.Linear(8, 8)))
    assert find_norms(reparametrised) == []


@pytest.mark.parametrize(
    "layer, reason",
    [
        (nn.LazyBatchNorm2d(), "not seen its first batch"),
        (nn.LayerNorm((8, 6, 6)), r"a gain for each of \(8, 6, 6\)"),
        (nn.LocalResponseNorm(2), "no parameters"),
        (type("OddNorm", (nn.PReLU,), {})(8), "not a normalized input"),
        (Gated(8), "more than the input: gate"),
        (
            type("Odd", (nn.BatchNorm2d,), {"forward": lambda self, x: x})(8),
            "forward is not that of BatchNorm2d",
        ),
        (type("CubedNorm", (Cubed,), {})(8), "more with the normalized input than one gain"),
        (
            type("OddNorm", (nn.PReLU,), {"forward": lambda self, x: x.tokens})(8),
            "raises AttributeError: .*'tokens'",
        ),
        (
            type("OddNorm", (nn.PReLU,), {"forward": lambda self, x: {}["scale"]})(8),
            "raises KeyError: 'scale'",
        ),
        (
            type("OddNorm", (nn.PReLU,), {"forward": lambda self, x, y: x})(8),
            "takes more than the input: y",
        ),
    ],
)
def test_what_cannot_be_read_is_left_and_says_why(layer, reason):
    model = nn.Sequential(layer)
    done = normlab.convert(model, "groupnorm")
    (norm,) = done.left
    assert model[0] is layer and not done.replaced
    assert re.search(reason, norm.notes[0])


def test_a_reparametrised_norm_is_left():
    model = nn.Sequential(parametrizations.weight_norm(nn.LayerNorm(8), dim=None))
    assert "reparametrised" in normlab.convert(model, "rmsnorm").left[0].notes[0]


@pytest.mark.parametrize("name", ["eps", "epsilon", "variance_epsilon", "norm_eps", "EPS"])
def test_eps_is_found_whatever_it_is_called(name):
    layer = Gemma(8)
    del layer.eps
    layer.warmup_steps = 7.0
    assert eps_of(layer) is None
    setattr(layer, name, 1e-3)
    assert eps_of(layer) == 1e-3
    assert eps_of(type("OfTheClass", (nn.Module,), {name: 0})()) == 0


def test_eps_goes_along_and_is_listed_by_any_name(monkeypatch):
    class Named(nn.LayerNorm):
        def __init__(self):
            super().__init__(8)
            del self.eps
            self.epsilon, self.warmup_steps = 1e-3, 3.0

        def forward(self, x):
            return nn.functional.layer_norm(x, (8,), self.weight, self.bias, self.epsilon)

    model = nn.Sequential(Named())
    monkeypatch.setattr("normlab.tools.survey.build_named", lambda name: model)
    assert [row["eps"] for row in listed_norms("any")] == [1e-3]
    assert normlab.convert(model, "rmsnorm").model[0].norm.eps == 1e-3
