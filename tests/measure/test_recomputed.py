"""Momenta that make up for each other, and checkpointing against an average written out."""

import pytest
import torch
from torch import nn

from normlab.measure.recomputed import blocks, distance, doubled, halved, train


@pytest.fixture
def net_and_batches():
    generator = torch.Generator().manual_seed(0)
    net = blocks(generator, torch.float64, 0.1)
    return net, list(torch.randn(3, 4, 3, 6, 6, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("momentum", [0.01, 0.1, 0.5])
def test_momenta(momentum):
    assert doubled(halved(momentum)) == pytest.approx(momentum)
    # Two updates by hand towards 1, from 0.
    assert doubled(momentum) == pytest.approx(momentum + (1 - momentum) * momentum)


@pytest.mark.parametrize("reentrant", [None, True, False])
def test_statistics_against_an_average_written_out(net_and_batches, reentrant):
    net, batches = net_and_batches
    first = net[0]
    with torch.no_grad():
        y = first[0](batches[0])
    mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3))
    expected_mean, expected_var = torch.zeros_like(mean), torch.ones_like(var)
    for _ in range(1 if reentrant is None else 2):
        expected_mean, expected_var = (
            0.9 * expected_mean + 0.1 * mean,
            0.9 * expected_var + 0.1 * var,
        )
    found = train(net, batches[:1], momentum=0.1, reentrant=reentrant).statistics
    # Of the first norm: 8 means, then 8 variances.
    assert torch.allclose(found[:16], torch.cat([expected_mean, expected_var]))


def test_gradients_against_autograd(net_and_batches):
    net, batches = net_and_batches
    found = train(net, batches[:1], momentum=0.1, reentrant=False).gradients
    loss = (net(batches[0]) - batches[0].mean()).square().mean()
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    assert torch.allclose(found, torch.cat([gradient.flatten() for gradient in gradients]))


def test_the_network_given_stays_as_it_is(net_and_batches):
    net, batches = net_and_batches
    before = [value.clone() for value in net.state_dict().values()]
    after = train(net, batches, momentum=0.1, reentrant=True)
    assert all(map(torch.equal, before, net.state_dict().values()))
    assert sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) * 16 == len(after.statistics)
    assert distance(after.statistics, 2 * after.statistics) == 0.5
