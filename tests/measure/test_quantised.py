"""Fake quantisation: how many values there are, what is rounded and what is not."""

import copy

import pytest
import torch
from torch import nn

from normlab.measure.quantised import Grid, quantise, rounded, separable
from normlab.models.plaincnn import PlainCNN
from normlab.norms import make_norm
from normlab.norms.batch import BatchNorm
from normlab.tools.fold.model import fold


def network(kind: str = "batchnorm") -> nn.Module:
    """A CNN whose norms have statistics, scales and shifts that differ by channel."""
    generator = torch.Generator().manual_seed(0)
    model = PlainCNN(
        (1, 8, 8),
        10,
        lambda c, layout: make_norm(kind, c, layout),
        kind == "none",
        generator,
        depth=5,
        width=4,
    )
    for module in model.modules():
        if isinstance(module, BatchNorm):
            for tensor, low in (
                (module.running_mean, -1),
                (module.running_var, 0.2),
                (module.weight.data, 0.2),
            ):
                tensor.uniform_(low, 2, generator=generator)
    return model.eval()


def images(count: int = 3) -> list[torch.Tensor]:
    return [
        torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(count)
    ]


@pytest.mark.parametrize("bits", [8, 4])
def test_weights_are_whole_steps(bits):
    weight = (
        torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(0))
        * torch.arange(1.0, 7)[:, None, None, None]
    )
    top = 2 ** (bits - 1) - 1
    for per_channel in (False, True):
        new = rounded(weight, bits, per_channel)
        step = (
            weight.abs().amax((1, 2, 3), keepdim=True) if per_channel else weight.abs().max()
        ) / top
        whole = new / step
        torch.testing.assert_close(whole, whole.round())
        assert float(whole.abs().max()) == pytest.approx(top)
        assert bool(((new - weight).abs() <= step / 2 * 1.0001).all())
    finer = [(rounded(weight, bits, channel) - weight).square().mean() for channel in (True, False)]
    assert finer[0] < finer[1]
    assert torch.equal(rounded(torch.zeros(2, 2), bits), torch.zeros(2, 2))


def test_a_grid_has_256_values_with_zero_and_clamps_to_what_it_saw():
    grid, x = Grid(), torch.linspace(-1, 3, 10_001)
    assert torch.equal(grid(x), x)
    grid.eval()
    y = grid(x)
    assert len(y.unique()) == 256 and 0 in y
    assert (
        float((y - x).abs().max()) <= 4 / 255 * 0.501 + 4 / 255
    )  # half a step, and one at an end: 0 is a value
    wide = grid(torch.tensor([-50.0, 50.0]))
    assert float(wide[0]) == float(y.min()) and float(wide[1]) == float(y.max())
    assert float(grid(torch.tensor([0.0]))) == 0
    rectified = Grid()
    rectified(x.relu())
    assert float(rectified.eval()(x).min()) == 0


@pytest.mark.parametrize("folded", [True, False])
def test_more_bits_come_closer_and_the_network_given_stays(folded):
    model = network()
    model = fold(model).model if folded else model
    before = copy.deepcopy(model.state_dict())
    x = images(1)[0]
    with torch.no_grad():
        exact = model(x)
        off = {
            (bits, channel): float(
                (quantise(model, images(), bits, channel)(x) - exact).norm() / exact.norm()
            )
            for bits in (8, 4)
            for channel in (False, True)
        }
    assert 0 < off[8, True] < off[4, True] < off[4, False] and 0 < off[8, False] < off[4, False]
    assert off[8, True] < 0.1 and off[8, False] < 0.1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_where_the_grids_stand():
    def kinds(model):
        return [type(layer).__name__ for layer in model.features]

    unfolded = quantise(network(), images(), 8, False)
    assert kinds(unfolded)[:6] == ["Grid", "Conv2d", "Grid", "BatchNorm", "ReLU", "Grid"]
    assert sum(kind == "Grid" for kind in kinds(unfolded)) == 11
    for model in (fold(network()).model, network("none")):
        assert sum(kind == "Grid" for kind in kinds(quantise(model, images(), 8, False))) == 6
    assert all(
        not grid.training and grid.high > grid.low
        for grid in unfolded.modules()
        if isinstance(grid, Grid)
    )


def test_an_unfolded_norm_keeps_its_shift_and_rounds_its_scale():
    model = network()
    new = quantise(model, images(), 4, False)
    for before, after in zip(
        *[[m for m in net.modules() if isinstance(m, BatchNorm)] for net in (model, new)],
        strict=True,
    ):
        scale = [norm.weight / (norm.running_var + norm.eps).sqrt() for norm in (before, after)]
        shift = [
            norm.bias - s * norm.running_mean
            for norm, s in zip((before, after), scale, strict=True)
        ]
        torch.testing.assert_close(shift[1], shift[0])
        torch.testing.assert_close(scale[1], rounded(scale[0], 8))


@pytest.mark.parametrize("kind", ["batchnorm", "none"])
def test_separable_blocks(kind):
    model = network(kind)
    shapes = [tuple(layer.stride) for layer in model.features if isinstance(layer, nn.Conv2d)]
    torch.manual_seed(0)
    separable(model, (1, 8, 8))
    convs = [layer for layer in model.features if isinstance(layer, nn.Conv2d)]
    assert [conv.groups for conv in convs] == [1, 4, 1, 4, 1, 8, 1, 8, 1]
    assert [tuple(conv.stride) for conv in (convs[0], *convs[1::2])] == shapes
    norms = list(model.features)[1::3]
    assert len({id(norm) for norm in norms}) == len(norms) == 9
    x = torch.randn(4, 1, 8, 8)
    assert model(x).shape == (4, 10)
    assert not fold(model).kept
    torch.testing.assert_close(fold(model).model(x), model(x), atol=1e-4, rtol=1e-4)
