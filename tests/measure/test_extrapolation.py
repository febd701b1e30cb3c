"""The network fits its data; outputs by radius of functions whose growth is known."""

import pytest
import torch
from torch import nn

from normlab.measure.extrapolation import (
    INPUTS,
    RADII,
    SAMPLES,
    data,
    extrapolation,
    network,
    outputs_by_radius,
)
from normlab.norms import Norm


def test_data_lie_in_the_unit_ball_and_the_target_has_unit_variance():
    x, y = data(torch.Generator().manual_seed(0))
    assert x.shape == (SAMPLES, INPUTS) and y.shape == (SAMPLES, 1)
    assert 0.9 < x.norm(dim=1).max() <= 1 + 1e-6
    assert float(y.mean()) == pytest.approx(0, abs=1e-5) and float(y.std()) == pytest.approx(1)


@pytest.mark.parametrize(("place", "count"), [("first", 1), ("middle", 1), ("last", 1), ("all", 3)])
def test_places_of_norms(place, count):
    net = network("layernorm", place, torch.Generator().manual_seed(0))
    norms = [i for i, module in enumerate(net) if isinstance(module, Norm)]
    assert len(norms) == count
    assert all(isinstance(net[i - 1], nn.Linear) and isinstance(net[i + 1], nn.ReLU) for i in norms)


def test_growth_of_known_functions():
    linear = nn.Linear(INPUTS, 1, bias=False)
    found = outputs_by_radius(linear, torch.Generator().manual_seed(0))
    for radius in RADII:
        assert found[f"largest_{radius}"] == pytest.approx(radius * found["largest_1"], rel=1e-4)
    # A linear form is largest along its own direction.
    assert found["largest_1"] == pytest.approx(float(linear.weight.detach().norm()), rel=0.1)
    bounded = outputs_by_radius(nn.Tanh(), torch.Generator().manual_seed(0))
    assert bounded["largest_10000"] == pytest.approx(1)


def test_a_network_fits_and_grows_or_does_not():
    none = extrapolation("none", "all", 0, 300, (0.01,))
    layernorm = extrapolation("layernorm", "first", 0, 300, (0.01,))
    assert none["val_error"] < 0.6 and layernorm["val_error"] < 0.6
    assert none["largest_10000"] > 1000 and layernorm["largest_10000"] < 100
    # The rate with the lower error is kept.
    both = extrapolation("none", "all", 0, 300, (1e-6, 0.01))
    assert both == none
