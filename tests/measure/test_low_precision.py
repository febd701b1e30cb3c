"""Means and variances in 16 bits against sums worked out by hand, and the batch norm that is
trained with them."""

import math

import pytest
import torch

from normlab.measure import low_precision as lowprec
from normlab.measure.low_precision import METHODS, RoundedNorm, error, exact, formula, replace_norms
from normlab.models.plaincnn import PlainCNN
from normlab.norms import make_norm

HALF = (torch.float16, torch.bfloat16)


def values(n: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.randn(n, 2, 3, generator=torch.Generator().manual_seed(0)) * 1.5 + 1).to(dtype)


@pytest.mark.parametrize("dtype", HALF)
def test_running_sums_round_every_step(dtype):
    x = values(600, dtype)
    total = torch.zeros(2, 3, dtype=dtype)
    for n, value in enumerate(x):
        total = (total.double() + value.double()).to(dtype)
        assert torch.equal(lowprec._running_sum(x[: n + 1])[-1] if n % 200 == 0 else total, total)
    assert torch.equal(lowprec._running_sum(x)[-1], total)


@pytest.mark.parametrize("dtype", HALF)
def test_a_sum_of_ones_stops_where_the_format_has_no_next_integer(dtype):
    last = {torch.float16: 2048, torch.bfloat16: 256}[dtype]
    assert float(lowprec._running_sum(torch.ones(3000, 1, dtype=dtype))[-1]) == last
    mean, _ = METHODS["sums"](torch.ones(4096, 1, dtype=dtype), (4096,))[4096]
    assert float(mean) == last / 4096
    assert float(METHODS["pairs"](torch.ones(4096, 1, dtype=dtype), (4096,))[4096][0]) == 1


@pytest.mark.parametrize("name", METHODS)
def test_each_method_is_right_where_rounding_is_not_felt(name):
    """In float32, and of every prefix that is asked for."""
    x, sizes = values(512), (64, 512)
    moments, true = METHODS[name](x, sizes), exact(x, sizes)
    for n in sizes:
        assert moments[n][0].shape == moments[n][1].shape == (2, 3)
        assert float(error(moments[n], true[n]).max()) < 1e-5
        torch.testing.assert_close(true[n][1], x[:n].double().var(0, unbiased=False))


@pytest.mark.parametrize("name", [name for name in METHODS if name != "library"])
def test_each_naive_method_keeps_16_bits(name):
    for mean, var in METHODS[name](values(64, torch.float16), (64,)).values():
        assert mean.dtype == var.dtype == torch.float16


def test_float16_overflows_and_torchs_kernel_does_not():
    x = 100 * values(4096, torch.float16)
    true = exact(x, (4096,))[4096]
    off = {
        name: float(error(method(x, (4096,))[4096], true).min()) for name, method in METHODS.items()
    }
    assert off.pop("library") < 1e-4 and set(off.values()) == {1.0}


def test_error_is_the_distance_of_normalized_values():
    x = values(4096).double()[:, 0, 0]
    true = x.mean(), x.var(unbiased=False)
    found = true[0] + 0.3, 1.7 * true[1]
    normalized = [(x - mean) / var.sqrt() for mean, var in (found, true)]
    measured = float(error(found, true))
    assert measured == pytest.approx(
        float((normalized[0] - normalized[1]).square().mean().sqrt()), rel=1e-6
    )
    one = torch.tensor(1.0)
    for mean, var in (
        (0.0, math.nan),
        (0.0, -1.0),
        (0.0, math.inf),
        (math.inf, math.inf),
        (9.0, 1.0),
        (0.0, 0.0),
    ):
        assert float(error((torch.tensor(mean), torch.tensor(var)), (0 * one, one))) == 1


def test_formula_rounds_eps():
    x = torch.full((4, 1), 3.0)
    for dtype, finite in ((torch.float16, False), (torch.bfloat16, True), (torch.float64, True)):
        y = formula(x.to(dtype), torch.tensor(3.0), torch.tensor(0.0), 1e-8)
        assert y.dtype == dtype and bool(y.isfinite().all()) == finite
    smallest = 2.0**-24  # of float16; each of two numbers that are just above its half becomes it
    var = torch.tensor(0.51 * smallest)
    y = formula(x.half(), torch.tensor(2.0), var, 0.51 * smallest)
    assert torch.equal(y, 1 / torch.tensor(2 * smallest).half().sqrt() * torch.ones_like(y))


@pytest.mark.parametrize("moments", [None, lowprec.library])
def test_a_rounded_norm_without_rounding_is_batch_norm(moments):
    """Outputs, gradients and buffers; of whole float16 numbers, whose moments torch's kernel has
    right."""
    x = torch.randint(-4, 5, (8, 3, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    ours, plain = RoundedNorm(3, moments=moments), make_norm("batchnorm", 3, "NCHW")
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    upstream = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    for norm, leaf in zip((ours, plain), leaves, strict=True):
        (norm(leaf) * upstream).sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.running_mean, plain.running_mean)
    torch.testing.assert_close(
        ours.running_var, plain.running_var, rtol=1e-2, atol=0
    )  # biased: 128 values
    ours.load_state_dict(plain.state_dict())
    torch.testing.assert_close(ours.eval()(x), plain.eval()(x))


def test_a_rounded_norm_uses_the_moments_it_is_given():
    x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    norm = RoundedNorm(3, moments=lambda rows, sizes: {n: (rows[0], rows[1].abs()) for n in sizes})
    mean, var = x.detach().half()[0, :, 0, 0].float(), x.detach().half()[0, :, 0, 1].float().abs()
    expected = (x - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    norm(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_a_rounded_formula_gives_float16_numbers_in_both_modes():
    x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    rounded, plain = RoundedNorm(3, formula=True), RoundedNorm(3)
    for _ in range(2):
        y, target = rounded(x), plain(x)
        assert torch.equal(y, y.half().float()) and not torch.equal(y, target)
        torch.testing.assert_close(y, target, atol=5e-3, rtol=5e-3)
        rounded.eval(), plain.eval()


def test_every_batch_norm_is_replaced():
    generator = torch.Generator().manual_seed(0)
    model = PlainCNN(
        (1, 8, 8),
        10,
        lambda c, layout: make_norm("batchnorm", c, layout),
        False,
        generator,
        depth=5,
        width=4,
    )
    replace_norms(model, eps=1e-3, moments=lowprec.sums)
    norms = [module for module in model.modules() if isinstance(module, RoundedNorm)]
    assert len(norms) == 5 and all(
        norm.eps == 1e-3 and norm.moments is lowprec.sums for norm in norms
    )
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 10)
