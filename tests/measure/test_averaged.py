"""Averages of weights: against sums by hand, and each sort of buffers against its definition."""

import copy

import pytest
import torch

from normlab.config.compose import compose
from normlab.measure.averaged import train_averaged
from normlab.training.evaluations.reevaluation import large_batches
from normlab.training.running_statistics import batch_norms, re_estimate
from normlab.training.setup import set_up

SMALL = [
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=32",
    "model.width=4", "trainer.max_steps=6", "optim.lr=0.1", "optim.decay=constant", "seed=3",
]  # fmt: skip


def states(steps):
    """The network after each of `steps` steps of the same training."""
    setup = set_up(compose(SMALL))
    found = []
    for step in range(steps):
        setup.train(step, step + 1)
        found.append(copy.deepcopy(setup.model.state_dict()))
    return found


@pytest.fixture(scope="module")
def trained():
    return states(6)


def test_the_mean_of_snapshots_by_hand(trained):
    averages = train_averaged(set_up(compose(SMALL)), snapshots=3)
    for name, value in averages.averaged_buffers.state_dict().items():
        if value.is_floating_point():
            mean = torch.stack([one[name] for one in trained[3:]]).mean(0)
            torch.testing.assert_close(value, mean, atol=1e-6, rtol=1e-5)
    for name, value in averages.last_weights.state_dict().items():
        assert torch.equal(value, trained[-1][name])


def test_more_snapshots_than_steps_are_one_a_step(trained):
    averages = train_averaged(set_up(compose(SMALL)), snapshots=100)
    mean = torch.stack([one["head.weight"] for one in trained[3:]]).mean(0)
    torch.testing.assert_close(averages.last_buffers.state_dict()["head.weight"], mean)


def test_the_moving_average_by_hand(trained):
    averages = train_averaged(set_up(compose(SMALL)), decay=0.7)
    for name in ("head.weight", "features.1.running_var"):
        moving = trained[0][name].clone()
        for one in trained[1:]:
            moving = 0.7 * moving + 0.3 * one[name]
        torch.testing.assert_close(averages.averaged_buffers.state_dict()[name], moving)


def test_three_networks_have_the_same_weights_and_buffers_of_their_own(trained):
    setup = set_up(compose(SMALL))
    averages = train_averaged(setup, snapshots=3)
    one, two, three = (
        averages.last_buffers, averages.averaged_buffers, averages.re_estimated
    )  # fmt: skip
    for other in (two, three):
        for mine, its in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(mine, its)
    last = dict(one.named_buffers())
    assert torch.equal(last["features.1.running_mean"], trained[-1]["features.1.running_mean"])
    again = copy.deepcopy(two)
    re_estimate(again, large_batches(setup.data, 500))
    for mine, its in zip(batch_norms(again), batch_norms(three), strict=True):
        assert torch.equal(mine.running_var, its.running_var)
        assert not torch.equal(mine.running_var, batch_norms(one)[0].running_var)
    assert not any(network.training for network in (one, two, three, averages.last_weights))
