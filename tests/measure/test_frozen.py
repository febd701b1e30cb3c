"""Parts of a network that are trained: what moves, and what keeps its bits."""

import copy

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.measure.frozen import head_only, norms_only, some_weights
from normlab.training.optim import parameters_by_role
from normlab.training.setup import set_up

SMALL = (
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64",
    "model.width=8", "trainer.max_steps=4", "optim.lr=0.1", "optim.weight_decay=0",
)  # fmt: skip


def moved(adapt, *overrides):
    """The names of the parameters that a training moves, and how many numbers of each."""
    setup = set_up(compose([*SMALL, *overrides]), adapt=adapt)
    before = copy.deepcopy(dict(setup.model.named_parameters()))
    setup.train()
    now = dict(setup.model.named_parameters())
    counts = {name: int((now[name] != before[name]).sum()) for name in now}
    return setup.model, {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("kind", ["batchnorm", "groupnorm"])
def test_norms_alone(kind):
    model, names = moved(norms_only, f"norm={kind}")
    norms = {
        f"features.{index}.{which}" for index in range(1, 15, 3) for which in ("weight", "bias")
    }
    assert names.keys() == norms
    assert len(parameters_by_role(model)["norm"]) == len(norms)


def test_head_alone():
    assert moved(head_only)[1].keys() == {"head.weight", "head.bias"}


def test_two_weights_of_each_channel():
    model, names = moved(some_weights(seed=0))
    convs = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert all(name.endswith("weight") and "head" not in name for name in names)
    # As many as a norm behind it has gains and shifts, but for a gradient that is 0.
    most = sum(2 * conv.out_channels for conv in convs)
    assert 0.9 * most <= sum(names.values()) <= most
    for conv in convs:
        gradient = torch.autograd.grad(conv.weight.sum(), conv.weight)[0]
        assert bool((gradient.flatten(1).sum(1) == 2).all())


def test_other_seeds_draw_other_weights():
    weights = []
    for seed in (0, 0, 1):
        model = set_up(compose(list(SMALL)), adapt=some_weights(seed)).model
        conv = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
        weights.append(torch.autograd.grad(conv.weight.sum(), conv.weight)[0])
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
