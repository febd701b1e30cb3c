"""Contrastive training: views, orders, what statistics give away, and the probe, by hand."""

import copy
import math

import pytest
import torch
from torch import nn

from normlab.config.compose import compose
from normlab.measure import contrastive
from normlab.measure.contrastive import Pair, embed, given_away, probe, train, views, with_embedding
from normlab.training.setup import set_up

SMALL = (
    "data=digits", "data.subset=128", "data.eval_subset=64", "data.batch_size=32",
    "model=plaincnn", "model.width=8", "trainer.max_steps=3", "data.augment=false",
)  # fmt: skip
BATCHNORM = ("norm=batchnorm", "norm.ghost_batch=8")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pair(*overrides):
    setup = set_up(compose([*SMALL, *overrides]), adapt=with_embedding)
    return Pair(setup, copy.deepcopy(setup.model), torch.zeros(1))


def test_views_of_a_constant_image_are_constant_and_differ_in_brightness():
    x = torch.full((16, 3, 8, 8), 2.0)
    seen = views(x, generator())
    assert seen.shape == x.shape
    torch.testing.assert_close(seen, seen[:, :, :1, :1].expand_as(seen), atol=1e-5, rtol=0)
    assert seen[:, :, 0, 0].min() >= 2 * 0.6 - 0.4 - 1e-5
    assert seen[:, :, 0, 0].max() <= 2 * 1.4 + 0.4 + 1e-5
    assert not torch.equal(views(x, generator(1)), seen)


def test_order_comes_back_and_changes_what_batch_norm_sees():
    x = torch.randn(32, 1, 8, 8, generator=generator())
    order = torch.randperm(32, generator=generator())
    for norm, same in (("norm=groupnorm",), True), (BATCHNORM, False):
        net = pair(*norm).queries.train()
        with torch.no_grad():
            close = torch.allclose(embed(net, x), embed(net, x, order), atol=1e-5)
        assert close is same


def test_a_norm_of_a_sample_gives_nothing_away_and_embeddings_have_length_1():
    one = pair("norm=groupnorm")
    assert abs(given_away(one, 0)) < 1e-5
    x = torch.randn(4, 1, 8, 8, generator=generator())
    torch.testing.assert_close(embed(one.queries, x).norm(dim=1), torch.ones(4))


def test_what_the_company_gives_away_is_found_where_it_is_all_there_is(monkeypatch):
    """An embedding that says nothing of the image but the mean of its group of 8."""

    class Company(nn.Module):
        def forward(self, x):
            groups = x.mean(dim=(2, 3)).view(-1, 8, 1).mean(1)
            code = torch.sin(groups * torch.arange(1.0, 65.0) * 40)
            return code.repeat_interleave(8, 0)

    one = pair(*BATCHNORM)
    monkeypatch.setattr(contrastive, "views", lambda x, _: x)
    told = Pair(one.setup, Company(), torch.zeros(1))
    monkeypatch.setattr(Pair, "queries", property(lambda _: Company()))
    assert given_away(told, 0) > 1


def test_training_moves_both_networks_and_only_shuffling_tells_apart():
    first, again = (train((*SMALL, *BATCHNORM, "optim.lr=0.1"), False, 3) for _ in range(2))
    assert torch.equal(first.losses, again.losses) and first.losses.shape == (3,)
    assert 0 < first.losses[0] < math.log(1 + contrastive.QUEUE)
    other = train((*SMALL, *BATCHNORM, "optim.lr=0.1"), True, 3)
    assert not torch.equal(first.losses, other.losses)
    fresh = pair(*BATCHNORM, "seed=3").queries
    assert first.queries.head.weight.shape == (contrastive.OUTPUTS, 32)
    moved = [
        (net.head.weight - fresh.head.weight).abs().max() for net in (first.keys, first.queries)
    ]
    assert 0 < moved[0] < moved[1]


def test_a_probe_reads_what_is_in_the_features():
    one = pair("norm=none")

    class Told(nn.Module):
        """Features that are the class, as it is written into the image."""

        def forward(self, x):
            return torch.nn.functional.one_hot(x[:, 0, 0, 0].long(), 10).float()[:, :, None, None]

    class Labelled:
        num_outputs = 10

        def eval_batches(self, split):
            y = torch.arange(10).repeat(5)
            yield y.float().view(-1, 1, 1, 1).expand(-1, 1, 8, 8), y

    net = nn.Module()
    net.features = Told()
    assert probe(net, Labelled()) == (1.0, 1.0)
    val, test = probe(one.queries.eval(), one.setup.data)
    assert 0 <= val <= 1 and 0.1 < test <= 1


def test_metrics_of_a_whole_trial():
    options = {"overrides": SMALL, "rates": (0.1,), "choice": (), "extend": False}
    metrics, setup = contrastive.contrastive(options, BATCHNORM, True, 0)
    names = {"pretext_loss", "trivial_loss", "probe_accuracy", "given_away", "rate"}
    assert set(metrics) == names
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["trivial_loss"] == pytest.approx(math.log(1 + contrastive.QUEUE))
    assert setup.source["name"] == "digits"


@pytest.mark.parametrize(
    ("choice", "tuned", "orders"),
    [
        ((), None, [False, False]),
        ((), False, [False, False]),
        ((), True, [True, True, False]),
        (("trainer.max_steps=1",), True, [True, True, False]),
        (("trainer.max_steps=1",), None, [False, False, False]),
    ],
)
def test_a_rate_may_be_chosen_with_keys_in_another_order(monkeypatch, choice, tuned, orders):
    seen = []

    def recorded(overrides, shuffled, seed):
        seen.append((overrides[-1], shuffled))
        return train(overrides, shuffled, seed)

    monkeypatch.setattr(contrastive, "train", recorded)
    options = {"overrides": SMALL, "rates": (0.03, 0.1), "choice": choice, "extend": False}
    metrics, _ = contrastive.contrastive(options, BATCHNORM, False, 0, tuned)
    assert [shuffled for _, shuffled in seen] == orders
    assert seen[-1][0] == f"optim.lr={metrics['rate']}" or len(seen) == 2


def test_a_training_that_diverges_gives_nothing_away():
    options = {"overrides": SMALL, "rates": (1e30,), "choice": (), "extend": False}
    metrics, _ = contrastive.contrastive(options, BATCHNORM, False, 0)
    assert metrics["given_away"] == 0 and not math.isfinite(metrics["pretext_loss"])
    assert 0 <= metrics["probe_accuracy"] <= 1
