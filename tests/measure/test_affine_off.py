"""Networks without gains, shifts and norms: by hand, and what stays as it is."""

import copy

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.measure.affine_off import accuracies_without, saliency, without_affine
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import set_up

SMALL = (
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64",
    "model.width=8", "trainer.max_steps=4", "norm=batchnorm",
)  # fmt: skip


@pytest.fixture
def setup():
    setup = set_up(compose([*SMALL]))
    setup.train()
    setup.model.eval()
    for layer in batch_norms(setup.model):
        nn.init.uniform_(layer.weight, 0.5, 2)
        nn.init.uniform_(layer.bias)
    return setup


def test_what_is_left_of_a_layer(setup):
    layer = batch_norms(setup.model)[0]
    x = torch.randn(3, layer.num_features, 4, 4)
    mean, deviation = (
        one[:, None, None] for one in (layer.running_mean, (layer.running_var + layer.eps).sqrt())
    )
    gain, shift = (one[:, None, None] for one in (layer.weight, layer.bias))
    standard = (x - mean) / deviation
    expected = {
        ("gain",): standard + shift,
        ("shift",): standard * gain,
        ("gain", "shift"): standard,
        ("standardise",): x * gain + shift,
        ("gain", "shift", "standardise"): x,
    }
    for names, y in expected.items():
        left = without_affine(setup.model, **dict.fromkeys(names, False))
        torch.testing.assert_close(batch_norms(left)[0](x), y, atol=1e-5, rtol=1e-5)


def test_the_network_stays_as_it_is_and_one_of_gain_1_loses_nothing(setup):
    before = copy.deepcopy(setup.model.state_dict())
    accuracies_without(setup)
    assert all(torch.equal(now, before[name]) for name, now in setup.model.state_dict().items())
    for layer in batch_norms(setup.model):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    metrics = accuracies_without(setup)
    assert metrics["no_affine_accuracy"] == metrics["whole_accuracy"]
    assert metrics["same_class"] == 1 and metrics["saliency_cosine"] == pytest.approx(1)


def test_saliency_of_a_linear_network_is_its_weights():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    classes = torch.tensor([2, 0])
    torch.testing.assert_close(
        saliency(net, torch.randn(2, 3, 2, 2), classes), net[1].weight[[2, 0]]
    )
