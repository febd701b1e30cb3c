"""What a layer does as a norm, whatever it is called."""

import pytest
import torch
from torch import nn

from normlab.tools.norm_probe import Behaviour, behaviour

LAYER_NORM = Behaviour(centres=True, shifts=True, by_token=True)
RMS_NORM = Behaviour(centres=False, shifts=False, by_token=True)
PLAIN = Behaviour(centres=True, shifts=False, by_token=True)  # layer norm without a bias
ACROSS = Behaviour(centres=True, shifts=True, by_token=False)  # several vectors share statistics


class Mean2(nn.Module):
    """RMSNorm by hand, with its gain stored as its distance from 1."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(6))

    def forward(self, x):
        return x * x.square().mean(-1, keepdim=True).add(1e-6).rsqrt() * (1 + self.gain)


class Position(nn.Module):
    def forward(self, x):
        return torch.arange(x.numel(), dtype=x.dtype).view_as(x)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.LayerNorm(6), LAYER_NORM),
        (nn.LayerNorm(6, bias=False), PLAIN),
        (nn.LayerNorm(6, elementwise_affine=False), PLAIN),
        (nn.RMSNorm(6), RMS_NORM),
        (Mean2(), RMS_NORM),
        (nn.BatchNorm1d(3), ACROSS),
        (nn.GroupNorm(1, 3), ACROSS),
        *((layer, None) for layer in (nn.Linear(6, 6), nn.Tanh(), nn.Softmax(-1))),
        *((layer, None) for layer in (nn.Dropout(0.0), nn.Identity(), Position())),
    ],
)
def test_a_norm_is_what_ignores_the_scale(layer, expected):
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert behaviour(layer.eval(), torch.ones(4, 3, 6)) == expected
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert not layer.training
