"""Streams that drift, the statistics that follow them, and the best rate of doing so."""

import math

import pytest
import torch

from normlab.measure import drift
from normlab.training.running_statistics import batch_norms


def test_a_stream_comes_back_to_where_it_was_after_a_period():
    x, y = torch.ones(16, 1, 1, 1), torch.arange(16)
    generator = torch.Generator().manual_seed(0)
    batches = list(drift.drifting_batches(x, y, 4, 9, generator))
    values = torch.stack([batch.mean() for batch, _ in batches])
    torch.testing.assert_close(values[:4], values[4:8])
    assert values[:4].std() > 0.3
    seen = torch.cat([labels for _, labels in batches[:2]])
    assert torch.equal(seen.sort().values, y)


def test_momentum_1_is_the_batch_and_0_the_network_as_it_is(setup):
    x, y = drift.whole_split(setup.data, "test")
    x, y = 2 * x[:8] + 1, y[:8]
    before = {name: one.clone() for name, one in setup.model.state_dict().items()}
    shares = drift.follow(setup.model, iter([(x, y)]), (1.0,))
    assert float(shares[0.0]) == float((setup.model(x).argmax(1) == y).double().mean())
    # By hand: of a single batch, its own statistics but for the unbiased variance.
    for layer in batch_norms(setup.model):
        layer.momentum = 1.0
    setup.model.train()
    setup.model(x)
    setup.model.eval()
    assert float(shares[1.0]) == float((setup.model(x).argmax(1) == y).double().mean())
    setup.model.load_state_dict(before)


def test_two_steps_of_the_average_by_hand(setup, monkeypatch):
    x, y = drift.whole_split(setup.data, "test")
    stream = [(x[:8], y[:8]), (3 * x[8:16] - 1, y[8:16])]
    seen = []
    monkeypatch.setattr(
        drift, "batch_norms", lambda model: seen.append(batch_norms(model)) or seen[-1]
    )
    drift.follow(setup.model, iter(stream), (0.3,))
    first = batch_norms(setup.model)[0]
    maps = [setup.model.features[0](batch) for batch, _ in stream]
    expected = first.running_mean
    for one in maps:
        expected = 0.7 * expected + 0.3 * one.mean((0, 2, 3))
    torch.testing.assert_close(seen[0][0].running_mean, expected, atol=1e-5, rtol=1e-4)


def test_best_momentum_is_the_top_of_a_parabola():
    momenta = (0.01, 0.03, 0.1, 0.3, 1.0)
    top = math.log(0.05)
    accuracies = [0.8 - 0.01 * (math.log(one) - top) ** 2 for one in momenta]
    assert drift.best_momentum(momenta, accuracies) == pytest.approx(top)
    assert drift.best_momentum(momenta, (1, 2, 3, 4, 5)) == 0
    assert drift.best_momentum(momenta, (5, 5, 5, 5, 5)) == math.log(0.01)


def test_metrics_by_period(setup):
    metrics = drift.rates_of_adaptation(setup, 6, seed=0)
    assert len(metrics) == len(drift.PERIODS) * (1 + 3 + 2)
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["for_20_20_accuracy"] == metrics["chosen_20_accuracy"]
