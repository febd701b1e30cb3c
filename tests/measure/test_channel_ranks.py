"""Ranks of activations before and behind a batch norm: made-up ones, and a trained network."""

import pytest
import torch
from torch import nn

from normlab.measure.channel_ranks import (
    accuracy_without,
    channel_means,
    channel_ranks,
    order_changes,
    saliency_changes,
    spread,
    strongest,
)
from normlab.training.evaluations.shift import predictions, whole_split
from normlab.training.running_statistics import batch_norms


def test_a_falling_line_keeps_the_order_and_a_square_does_not():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    assert order_changes(x, -2 * x + 1) == pytest.approx(0, abs=1e-12)
    assert order_changes(x, x.square()) > 0.8


def test_strongest_and_spread_by_hand():
    activations = torch.zeros(2, 16)
    activations[0, 3], activations[0, 7], activations[1, 0], activations[1, 1] = 2, 1, 5, -9
    assert strongest(activations)[0].nonzero().flatten().tolist() == [3, 7]
    assert int(strongest(activations)[1].sum()) == 2 and not strongest(activations)[1, 1]
    assert spread(torch.tensor([[0.0, 0, 0], [1, 2, 8]])) == pytest.approx(4)


def test_means_are_those_around_the_layer(setup):
    x, _ = whole_split(setup.data, "test")
    layer = batch_norms(setup.model)[0]
    before, after = channel_means(setup.model, layer, x)
    maps = setup.model.features[0](x)
    torch.testing.assert_close(before, maps.mean((2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after, layer(maps).mean((2, 3)), atol=1e-5, rtol=1e-4)


def test_nothing_deleted_is_the_network_and_all_is_one_class(setup):
    x, y = whole_split(setup.data, "test")
    layer = batch_norms(setup.model)[-1]
    level = torch.ones(layer.num_features)
    none = torch.zeros(len(x), layer.num_features, dtype=torch.bool)
    whole = float((predictions(setup.model, x) == y).double().mean())
    assert accuracy_without(setup.model, layer, none, level, x, y) == whole
    logits = setup.model.head(level)
    share = float((y == logits.argmax()).double().mean())
    assert accuracy_without(setup.model, layer, ~none, level, x, y) == share


def test_saliency_of_a_norm_is_the_same_and_of_a_square_is_not(setup):
    x, _ = whole_split(setup.data, "test")
    assert saliency_changes(setup.model, batch_norms(setup.model)[1], x[:4]) < 1e-6
    conv = nn.Conv2d(1, 4, 3)

    class Square(nn.Module):
        def forward(self, x):
            return x.square()

    square = Square()
    assert saliency_changes(nn.Sequential(conv, square), square, x[:4]) > 0.01


def test_metrics_of_a_network(setup):
    before = {name: one.clone() for name, one in setup.model.state_dict().items()}
    for layer in batch_norms(setup.model):
        nn.init.uniform_(layer.weight, 0.5, 2)
    metrics = channel_ranks(setup)
    assert metrics["order_changes"] < 1e-3 and 0 <= metrics["other_channels"] <= 1
    x, y = whole_split(setup.data, "test")
    own = float((predictions(setup.model, x) == y).double().mean())
    assert metrics["whole_accuracy"] == own and not batch_norms(setup.model)[0]._forward_hooks
    setup.model.load_state_dict(before)
