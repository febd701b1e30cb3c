"""Networks as after a training, and the check that folding changes nothing that they compute."""

import copy

import torch
from torch import nn

import normlab


def used(model):
    """`model` in float64, as after a training: no statistic, scale or shift is what it was."""
    generator = torch.Generator().manual_seed(0)
    for module in model.double().modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.3, 2, generator=generator)
            if module.weight is not None:
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(0, 0.5, generator=generator)
    return model.eval()


def inputs(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@torch.no_grad()
def folded_like(model, x, folded=None, kept=None):
    """The Folding of `model`, which computes the same; and `model` is as it was."""
    before = copy.deepcopy(model.state_dict())
    folding = normlab.fold(model)
    target, y = model(x), folding.model(x)
    assert (y - target).abs().max() <= 1e-10 * target.abs().max()
    assert type(folding.model) is type(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    if folded is not None:
        assert [fate.name for fate in folding.folded] == folded, str(folding)
    if kept is not None:
        assert [fate.name for fate in folding.kept] == list(kept), str(folding)
        for fate in folding.kept:
            assert kept[fate.name] in fate.reason, fate
    return folding


def conv(channels=4, kernel=1, **options):
    return nn.Conv2d(channels, channels, kernel, **options)
