"""Fine-tuning on another domain: what is trained, what statistics move, and what is measured."""

import copy

import pytest
import torch

from normlab.measure import transfer
from normlab.measure.transfer import Way, fine_tuned
from normlab.training.evaluations.shift import whole_split
from normlab.training.running_statistics import batch_norms


def moved(setup, way):
    x, y = whole_split(setup.data, "val")
    before = copy.deepcopy(setup.model.state_dict())
    tuned = fine_tuned(setup.model, way, x[:16], y[:16], 0.1, 2, seed=0)
    after = setup.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not tuned.training
    return {
        name.rpartition(".")[2] if "features" in name else name
        for name, value in tuned.state_dict().items()
        if not torch.equal(value, before[name])
    }


HEAD = {"head.weight", "head.bias"}
STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}


@pytest.mark.parametrize(
    ("trained", "live", "expected"),
    [
        ("head", False, HEAD),
        ("head", True, HEAD | STATISTICS),
        ("norms", True, HEAD | STATISTICS | {"weight", "bias"}),
        ("all", False, HEAD | {"weight", "bias"}),
    ],
)
def test_what_moves(setup, trained, live, expected):
    assert moved(setup, Way(trained, live, 4)) == expected


def test_norms_leave_convolutions_as_they_are(setup):
    x, y = whole_split(setup.data, "val")
    tuned = fine_tuned(setup.model, Way("norms", True, 4), x[:16], y[:16], 0.1, 1, seed=0)
    for index in range(0, 15, 3):
        assert torch.equal(tuned.features[index].weight, setup.model.features[index].weight)


def test_a_live_batch_of_momentum_1_leaves_its_own_statistics(setup):
    x, y = whole_split(setup.data, "val")
    tuned = fine_tuned(setup.model, Way("head", True, 16, 1.0), x[:16], y[:16], 1e-9, 1, seed=0)
    maps = setup.model.features[0](x[:16])
    torch.testing.assert_close(
        batch_norms(tuned)[0].running_mean, maps.mean((0, 2, 3)), atol=1e-5, rtol=1e-4
    )


def test_steps_that_move_nothing_leave_a_frozen_network_as_it_was(setup, monkeypatch):
    monkeypatch.setattr(transfer, "RATES", (1e-30, 1e-31))
    ways = {"frozen": Way("head", False, 4)}
    metrics = transfer.transfer(setup, ways, {"fog": 2, "noise": 1}, 1, seed=0)
    for where in ("target", "source"):
        assert metrics[f"frozen_{where}_accuracy"] == metrics[f"before_{where}_accuracy"]
    x, y = whole_split(setup.data, "test")
    assert metrics["before_source_accuracy"] == transfer.accuracy(setup.model, x, y)


def test_a_batch_of_more_than_there_are_is_all_of_them(setup):
    x, y = whole_split(setup.data, "val")
    by_size = [
        fine_tuned(setup.model, Way("all", False, size), x[:16], y[:16], 0.01, 3, seed=0)
        for size in (16, 64)
    ]
    assert torch.equal(by_size[0].head.weight, by_size[1].head.weight)
    assert not torch.equal(by_size[0].head.weight, setup.model.head.weight)


def test_images_of_a_domain_are_of_three_kinds(setup):
    images = transfer.domain(setup, "fog", 2)
    x, y = whole_split(setup.data, "val")
    n = len(y) // 2
    assert torch.equal(torch.cat([images.labelled[1], images.checked[1]]), y)
    assert len(images.labelled[0]) == n and not torch.equal(images.labelled[0], x[:n])
