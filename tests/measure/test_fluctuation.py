"""Distances of batch statistics from running ones, against numbers worked out by hand and by
simulation."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from normlab.measure import fluctuation
from normlab.measure.fluctuation import fluctuations
from normlab.norms import make_norm

TEXT = (
    "model=transformer",
    "model.width=16",
    "model.num_heads=2",
    "model.depth=1",
    "data=pydoc_lines",
    "data.task=masked",
    "data.crop=16",
    "data.context=16",
    "data.batch_size=8",
    "norm=batchnorm",
    "optim.lr=0.01",
)
IMAGES = ("model=plaincnn", "model.width=4", "data=digits", "data.batch_size=8", "norm=batchnorm")


def measured(
    layout: str, x: torch.Tensor, running_mean: float = 0.0, running_var: float = 1.0
) -> dict:
    model = nn.Sequential(make_norm("batchnorm", x.shape[1 if layout == "NCHW" else 2], layout))
    model[0].running_mean.fill_(running_mean)
    model[0].running_var.fill_(running_var)
    found: dict[str, list[torch.Tensor]] = {}
    before = copy.deepcopy(model.state_dict())
    fluctuation._measure(model, x, found, torch.Generator().manual_seed(0))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and not model[0]._forward_pre_hooks
    return {name: torch.cat(parts) for name, parts in found.items()}


@pytest.mark.parametrize("layout", ["NTC", "NCHW"])
def test_of_a_batch_with_known_moments(layout):
    """Channels with values -1 and 1, and 1 and 5, each as often: means 0 and 3, variances (n /
    (n - 1)) and 4 of it."""
    n, positions = 6, 4
    signs = torch.tensor([-1.0, 1.0]).repeat(n * positions // 2).view(n, positions)
    x = torch.stack([signs, 3 + 2 * signs], dim=2)  # (N, T, C)
    if layout == "NCHW":
        x = x.transpose(1, 2).reshape(n, 2, 2, 2)
    found = measured(layout, x, running_mean=1.0, running_var=4.0)
    unbiased = n * positions / (n * positions - 1)
    torch.testing.assert_close(found["mean_all"], torch.tensor([0.5, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        found["var_all"], torch.tensor([unbiased / 4 - 1, unbiased - 1]).abs(), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("layout", ["NTC", "NCHW"])
def test_one_value_of_each_sample_ignores_what_positions_share(layout):
    """All positions of a sample alike: 4 values are then one, in all and in one, which has no
    fewer."""
    x = torch.randn(64, 1, 300, generator=torch.Generator().manual_seed(0)).expand(64, 4, 300)
    x = x if layout == "NTC" else x.transpose(1, 2).reshape(64, 300, 2, 2)
    found = measured(layout, x)
    torch.testing.assert_close(found["mean_one"], found["mean_all"])
    expected = (
        np.median(np.abs(np.random.default_rng(0).normal(size=100_000))) / 8
    )  # of 64 independent values
    assert float(found["mean_one"].median()) == pytest.approx(expected, rel=0.15)

    independent = torch.randn(64, 4, 300, generator=torch.Generator().manual_seed(1))
    independent = (
        independent if layout == "NTC" else independent.transpose(1, 2).reshape(64, 300, 2, 2)
    )
    found = measured(layout, independent)
    assert float(found["mean_one"].median() / found["mean_all"].median()) == pytest.approx(
        2, rel=0.2
    )  # sqrt(4)


@pytest.mark.parametrize("overrides", [TEXT, IMAGES])
def test_metrics_of_a_training(overrides):
    metrics, data = fluctuations((*overrides, "trainer.max_steps=6"), 0)
    assert metrics == fluctuations((*overrides, "trainer.max_steps=6"), 0)[0]
    assert metrics != fluctuations((*overrides, "trainer.max_steps=6"), 1)[0]
    names = {
        f"{what}_{values}{tail}"
        for what in ("mean", "var")
        for values in ("all", "one")
        for tail in ("", "_99")
    }
    assert set(metrics) == names and data["fingerprint"]
    assert all(
        0 < metrics[name.removesuffix("_99")] < metrics[name]
        for name in names
        if name.endswith("_99")
    )
