"""Federated averaging: partitions, means, whose buffers are read, by hand."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from normlab.config.compose import compose
from normlab.errors import NormLabError
from normlab.measure import federated
from normlab.measure.federated import accuracies, average, partition, train, with_buffers
from normlab.training.evaluations.shift import predictions, whole_split
from normlab.training.running_statistics import batch_norms
from normlab.training.setup import set_up
from normlab.training.step import evaluate

SMALL = (
    "data=digits", "data.subset=256", "data.eval_subset=64", "data.batch_size=16",
    "model=plaincnn", "model.width=8", "trainer.max_epochs=2", "norm=batchnorm",
)  # fmt: skip


@pytest.fixture(scope="module")
def federation():
    return train((*SMALL, "optim.lr=0.05"), "shards", 3)


@pytest.mark.parametrize("skew", federated.SKEWS)
def test_every_image_has_one_client(skew):
    y = torch.arange(10).repeat(40)
    parts = partition(y, skew, 0)
    assert len(parts) == federated.CLIENTS
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(400))
    again = partition(y, skew, 0)
    assert all(torch.equal(a, b) for a, b in zip(parts, again, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(parts, partition(y, skew, 1), strict=True))


def test_shards_are_two_classes_and_random_shares_nearly_all():
    y = torch.arange(10).repeat(40)
    counts = {skew: [len(y[part].unique()) for part in partition(y, skew, 0)]
              for skew in federated.SKEWS}  # fmt: skip
    assert max(counts["shards"]) <= 2 and min(counts["iid"]) >= 8
    assert sum(counts["shards"]) < sum(counts["dirichlet"]) < sum(counts["iid"])
    with pytest.raises(NormLabError, match="shards"):
        partition(y, "none", 0)


def test_the_mean_of_states_is_by_size():
    states = [{"w": torch.tensor([value]), "n": torch.tensor(count)}
              for value, count in ((1.0, 5), (4.0, 7))]  # fmt: skip
    mean = average(states, [3, 1])
    assert mean["w"].item() == pytest.approx(1.75) and mean["n"].item() == 7


def test_one_client_with_all_images_is_a_plain_training(monkeypatch):
    monkeypatch.setattr(federated, "partition", lambda y, *_: [torch.arange(len(y))])
    alone = train((*SMALL, "optim.lr=0.05"), "iid", 3)
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(value, alone.states[0][name])
    names = ("test", "own_buffers", "own_classes", "shared_classes")
    same = [accuracies(alone)[f"{name}_accuracy"] for name in names]
    assert same[0] == same[1] and same[2] == pytest.approx(same[3])


def test_the_last_average_is_of_the_states_that_are_kept(federation):
    sizes = [len(share) for share in federation.shares]
    mean = average(federation.states, sizes)
    assert all(torch.equal(mean[name], value)
               for name, value in federation.model.state_dict().items())  # fmt: skip


def test_own_buffers_change_statistics_and_no_parameter(federation):
    before = copy.deepcopy(federation.model.state_dict())
    own = with_buffers(federation.model, federation.states[0])
    for name, value in own.named_parameters():
        assert torch.equal(value, before[name])
    layers = zip(batch_norms(own), batch_norms(federation.model), strict=True)
    assert all(not torch.equal(one.running_mean, all_.running_mean) for one, all_ in layers)
    after = federation.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_an_average_that_is_sure_and_wrong_has_its_accuracy_and_one_without_a_loss_has_none(
    federation,
):
    data = federation.setup.data
    sure = replace(federation, model=copy.deepcopy(federation.model))
    with torch.no_grad():
        sure.model.head.weight.mul_(1e4)
        sure.model.head.bias.mul_(1e4)
    loss, accuracy = evaluate(sure.model, data.eval_batches("val"))
    assert data.trivial_loss < loss < math.inf
    assert federated.score(sure) == accuracy == federated.score(federation) > 0
    with torch.no_grad():
        sure.model.head.bias.fill_(math.nan)
    assert federated.score(sure) == -math.inf


def test_accuracies_by_hand(federation):
    metrics = accuracies(federation)
    x, y = whole_split(federation.setup.data, "test")
    labels = whole_split(federation.setup.data, "train")[1]
    own, mixed, total = 0.0, 0.0, sum(len(share) for share in federation.shares)
    for share, state in zip(federation.shares, federation.states, strict=True):
        correct = predictions(with_buffers(federation.model, state), x) == y
        own += len(share) / total * correct.float().mean().item()
        for label in labels[share].unique():
            part = (labels[share] == label).float().mean() * correct[y == label].float().mean()
            mixed += len(share) / total * part.item()
    assert metrics["own_buffers_accuracy"] == pytest.approx(own, abs=1e-6)
    assert metrics["own_classes_accuracy"] == pytest.approx(mixed, abs=1e-6)
    fresh = set_up(compose([*SMALL])).model.eval()
    fresh.load_state_dict(
        dict(fresh.state_dict()) | dict(federation.model.named_parameters()), strict=True
    )
    first = (predictions(fresh, x) == y).float().mean().item()
    assert metrics["first_buffers_accuracy"] == pytest.approx(first, abs=1e-6)


def test_images_are_mirrored_only_where_the_data_are_augmented(monkeypatch):
    seen = []
    monkeypatch.setattr(federated, "loss_of", lambda net, x, y: seen.append(x) or net(x).sum())
    for augment in ("false", "true"):
        setup = set_up(compose([*SMALL, f"data.augment={augment}", "data.flip=true"]))
        x, y = whole_split(setup.data, "val")
        draw = torch.Generator().manual_seed(0)
        federated.local_training(copy.deepcopy(setup.model), setup, x, y, 1e-9, draw)
    plain, mirrored = seen[0], seen[len(seen) // 2]
    assert not torch.equal(plain, mirrored)
    either = [(mirrored == one).flatten(1).all(1) for one in (plain, plain.flip(3))]
    assert bool((either[0] | either[1]).all()) and bool(either[1].any())


def test_groupnorm_has_no_buffers_to_lose():
    options = {
        "overrides": (*SMALL[:-1],), "rates": (0.05,), "choice": (), "extend": False,
    }  # fmt: skip
    metrics, setup = federated.federated(options, ("norm=groupnorm",), "dirichlet", 0)
    assert metrics["test_accuracy"] == pytest.approx(metrics["own_buffers_accuracy"], abs=1e-9)
    assert metrics["test_accuracy"] == metrics["first_buffers_accuracy"]
    assert setup.source["name"] == "digits" and metrics["rate"] == 0.05
