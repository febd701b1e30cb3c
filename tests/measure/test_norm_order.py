"""Norms behind activations, and the choice of a rate."""

import copy

import pytest
import torch

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.measure.norm_order import norm_after_activation, trained_at_best_rate
from normlab.models import build_model

RUN = ("model=plaincnn", "model.width=4", "data=digits", "data.batch_size=32", "norm=batchnorm")
RESNET = ("model=resnet", "model.depth=8", "model.width=4", "data=digits", "norm=batchnorm")


def built(*overrides):
    return build_model(compose([*overrides]), "image", (1, 8, 8), 10)


def test_plain_network_gives_what_its_layers_give_in_the_other_order():
    model, x = built(*RUN), torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected, layers = x, list(copy.deepcopy(model).features)
    for conv, norm, activation in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
        expected = norm(activation(conv(expected)))
    norm_after_activation(model)
    torch.testing.assert_close(model.features(x), expected)
    # Behind the norm the mean of each channel is 0 again.
    assert model.features(x).mean((0, 2, 3)).abs().max() < 1e-5


def test_block_of_a_resnet_keeps_the_norm_before_the_sum():
    model, x = built(*RESNET), torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    twin = copy.deepcopy(model)
    norm_after_activation(model)
    h = twin.norm(torch.relu(twin.conv(x)))
    block = twin.blocks[0]
    branch = block.norm1(torch.relu(block.conv1(h)))
    expected = torch.relu(block.norm2(block.conv2(branch)) + h)
    torch.testing.assert_close(
        model.blocks[0](model.activation(model.norm(model.conv(x)))), expected
    )


def test_nothing_to_swap_is_said():
    with pytest.raises(NormLabError, match="nothing to swap"):
        norm_after_activation(torch.nn.Sequential(torch.nn.ReLU()))


def test_grid_grows_towards_the_rate_that_validates_best():
    # Rates at which so few steps train something: of what none trains, the grid grows down.
    short = (*RUN, "trainer.max_steps=60", "data.subset=300")
    metrics, data = trained_at_best_rate(short, 0, (0.003, 0.01))
    assert metrics["rate"] >= 0.03 and data["name"] == "digits"
    assert 0.2 < metrics["test_accuracy"] <= 1
    chosen, _ = trained_at_best_rate(short, 0, (0.003, 0.01), ("trainer.max_steps=30",))
    assert chosen["rate"] >= 0.01 and chosen["train_loss"] < 2.3
