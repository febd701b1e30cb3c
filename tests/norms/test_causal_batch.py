"""Causal batch norm: no position sees a later one; statistics, decoding, and what is refused."""

import pytest
import torch
from norm_cases import CHANNELS, draw

from normlab.errors import NormLabError
from normlab.norms import make_norm
from normlab.norms.causal_batch import prefix_moments

STATISTICS = pytest.mark.parametrize("statistics", ["position", "prefix"])


def new(statistics, **options):
    return make_norm("causal_batchnorm", CHANNELS, "NTC", statistics=statistics, **options)


@STATISTICS
@pytest.mark.parametrize("position", [0, 3, 6])
def test_no_position_sees_a_later_one(statistics, position):
    x = draw("NTC").requires_grad_()
    weights = draw("NTC", seed=1)[:, position]
    norm = new(statistics).double()
    (norm(x)[:, position] * weights).sum().backward()
    assert not x.grad[:, position + 1 :].any()
    assert x.grad[:, position].all()
    assert bool(x.grad[:, :position].any()) is (statistics == "prefix" and position > 0)
    later = x.detach().clone()
    later[:, position + 1 :] = 1e6
    assert torch.equal(
        new(statistics).double()(later)[:, : position + 1], norm(x)[:, : position + 1]
    )
    assert torch.equal(
        new(statistics)(later.float())[:, : position + 1],
        new(statistics)(x.float())[:, : position + 1],
    )


def test_prefix_and_position_are_batchnorm_where_they_must_be():
    x = draw("NTC")
    rows = make_norm("batchnorm", CHANNELS, "NC").double()
    whole = make_norm("batchnorm", CHANNELS, "NTC").double()
    by_position, prefix = new("position").double(), new("prefix").double()
    y = by_position(x)
    for t in range(x.shape[1]):
        torch.testing.assert_close(y[:, t], rows(x[:, t].contiguous()))
    torch.testing.assert_close(prefix(x)[:, -1], whole(x)[:, -1])
    torch.testing.assert_close(prefix.running_mean[x.shape[1] - 1], whole.running_mean)
    torch.testing.assert_close(prefix.running_var[x.shape[1] - 1], whole.running_var)


@STATISTICS
@pytest.mark.parametrize("offset", [100.0, 1e4])
def test_statistics_survive_a_mean_far_from_zero(statistics, offset):
    """Sums of squares would leave nothing of a variance of 1 at a mean of 1e4."""
    x = (
        torch.randn(16, 200, CHANNELS, generator=torch.Generator().manual_seed(0)) + offset
    ).requires_grad_()
    x64 = x.detach().double().requires_grad_()
    y, wanted = new(statistics)(x), new(statistics).double()(x64)
    torch.testing.assert_close(y.double(), wanted, rtol=1e-3, atol=1e-6 * offset)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    y.backward(dy)
    wanted.backward(dy.double())
    torch.testing.assert_close(x.grad.double(), x64.grad, rtol=1e-3, atol=2e-6 * offset)


def test_prefix_moments_of_one_position_and_of_many():
    x = draw("NTC", shape=(3, 50, 4)) + 1e3
    variance, mean = torch.var_mean(x, 0, correction=0)
    means, variances = prefix_moments(mean, variance)
    for t in range(50):
        torch.testing.assert_close(means[t], x[:, : t + 1].mean((0, 1)))
        torch.testing.assert_close(variances[t], x[:, : t + 1].var((0, 1), correction=0))
    assert torch.equal(prefix_moments(mean[:1], variance[:1])[1], variance[:1])


def test_prefix_moments_lose_nothing_to_float32():
    mean = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) + 1e4
    variance = torch.ones_like(mean)
    wanted_mean, wanted = prefix_moments(mean.double(), variance.double())
    means, variances = prefix_moments(mean, variance)
    torch.testing.assert_close(variances.double(), wanted, rtol=1e-6, atol=0)
    torch.testing.assert_close(means.double(), wanted_mean, rtol=1e-7, atol=0)


@STATISTICS
@pytest.mark.parametrize("momentum", [0.1, None])
def test_shorter_batches_update_their_own_positions_only(statistics, momentum):
    norm = new(statistics, momentum=momentum).double()
    norm(draw("NTC"))
    before = norm.running_mean.clone()
    norm(draw("NTC", seed=1)[:, :4])
    assert norm.num_batches_tracked[:8].tolist() == [2, 2, 2, 2, 1, 1, 1, 0]
    assert (norm.running_mean[:4] != before[:4]).all()
    assert torch.equal(norm.running_mean[4:], before[4:])
    if momentum is None and statistics == "position":
        both = torch.cat([draw("NTC")[:, :4], draw("NTC", seed=1)[:, :4]])
        torch.testing.assert_close(norm.running_mean[:4], both.mean(0))


@STATISTICS
def test_in_eval_mode_a_position_has_its_own_fixed_statistics(statistics):
    norm = new(statistics).double()
    for seed in range(3):
        norm(draw("NTC", seed))
    norm.eval()
    x = draw("NTC", seed=5)
    whole = norm(x)
    for t in range(1, x.shape[1]):
        assert torch.equal(norm(x[:1, :t]), whole[:1, :t])
    assert not torch.allclose(norm(x[:, 3:4]), whole[:, 3:4])


@STATISTICS
def test_positions_without_statistics_are_refused(statistics):
    norm = new(statistics, max_positions=8)
    x = torch.randn(2, 9, CHANNELS)
    for mode in (True, False):
        with pytest.raises(
            NormLabError,
            match=r"^9 positions are more than norm.max_positions=8: pass a larger one.$",
        ):
            norm.train(mode)(x)
    norm.train()(x[:, :5])
    norm.eval()(x[:, :5])
    with pytest.raises(NormLabError, match=r"was trained on 5 positions, not 6: pass no more.$"):
        norm(x[:, :6])


def test_a_new_one_evaluates_as_a_new_batchnorm():
    x = draw("NTC").float()
    torch.testing.assert_close(
        new("position").eval()(x), make_norm("batchnorm", CHANNELS, "NTC").eval()(x)
    )
