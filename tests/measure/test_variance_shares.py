"""Shares of variance: made-up units whose share is known, and real networks."""

import numpy as np
import pytest
import torch

from normlab.config.compose import compose
from normlab.measure.variance_shares import explained_share, norm_inputs, variance_shares
from normlab.training.setup import set_up

IMAGES = (
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=64",
    "model.width=8", "norm=batchnorm",
)  # fmt: skip
TEXT = (
    "model=transformer", "data=pydoc", "data.context=8", "data.batch_size=4", "data.subset=2000",
    "data.eval_subset=400", "model.width=8", "model.num_heads=2",
)  # fmt: skip


def test_units_of_a_known_share():
    generator = torch.Generator().manual_seed(0)
    groups = torch.randint(50, (20_000,), generator=generator)
    noise = torch.randn(20_000, 3, generator=generator)
    of_group = torch.randn(50, generator=generator)[groups]
    values = torch.stack([of_group, noise[:, 0], 3 * of_group + 3 * noise[:, 1] + 7], dim=1)
    share = explained_share(values, groups)
    half = float(of_group.var() / (of_group.var() + 1))
    assert share.tolist() == pytest.approx([1, 0, half], abs=0.02)


def test_many_groups_explain_nothing_by_their_number():
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(1_000).repeat(2)  # two values each: the plain share would be a half
    values = torch.randn(2_000, 20, generator=generator)
    assert abs(float(explained_share(values, groups).mean())) < 0.03


def test_by_hand_and_of_a_unit_that_does_not_vary():
    values = torch.tensor([[1.0, 5.0], [3.0, 5.0], [6.0, 5.0], [8.0, 5.0]])
    share = explained_share(values, torch.tensor([0, 0, 1, 1]))
    within, whole = (1 + 1 + 1 + 1) / 2, np.var([1, 3, 6, 8], ddof=1)
    assert share.tolist() == pytest.approx([1 - within / whole, 0])


def test_the_first_norm_of_a_transformer_reads_token_and_position_alone():
    setup = set_up(compose([*TEXT]))
    setup.model.positions.weight.data.zero_()
    metrics = variance_shares(setup.model, setup.data)
    assert metrics["token_first"] == pytest.approx(1)
    assert metrics["token_last"] < 1


def test_rows_are_told_where_they_are_from():
    setup = set_up(compose([*IMAGES]))
    x = torch.cat([batch for batch, _ in setup.data.eval_batches("test")])
    first = next(iter(norm_inputs(setup.model, setup.data)))
    maps = setup.model.features[0](x)
    row = 70  # of 64 positions a sample
    assert (int(first["sample"][row]), int(first["position"][row])) == (1, 6)
    torch.testing.assert_close(first["values"][row], maps[1, :, 0, 6])
    assert "token" not in first and set(variance_shares(setup.model, setup.data)) == {
        f"{name}{where}" for name in ("position", "sample") for where in ("", "_first", "_last")
    }
