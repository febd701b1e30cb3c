"""Norms that must coincide, in float64, on shapes that hypothesis chooses."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_cases import case_id, draw
from torch import nn

from normlab.norms import make_norm

FORMATS = pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=case_id
)
quick = settings(max_examples=15, deadline=None, derandomize=True)
maps = st.tuples(st.integers(1, 7), st.integers(1, 12), st.integers(1, 5), st.integers(2, 5))


def norm(kind, channels, layout="NCHW", **options):
    return make_norm(kind, channels, layout, **options).double()


def images(shape, memory_format=torch.contiguous_format):
    return draw("NCHW", shape=shape).contiguous(memory_format=memory_format)


def assert_same(ours, theirs, x):
    """The same function: the same output and the same input gradient."""
    results = []
    for layer in (ours, theirs):
        point = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        y = layer(point)
        y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape))
        results.append((y.detach(), point.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@FORMATS
@quick
@given(shape=maps)
def test_batchnorm_of_one_sample_is_instancenorm(memory_format, shape):
    x = images((1, *shape[1:]), memory_format)
    assert_same(norm("batchnorm", shape[1]), norm("instancenorm", shape[1]), x)


@FORMATS
@quick
@given(shape=maps)
def test_ghost_batches_of_one_are_instancenorm(memory_format, shape):
    x = images(shape, memory_format)
    assert_same(norm("batchnorm", shape[1], ghost_batch=1), norm("instancenorm", shape[1]), x)


@FORMATS
@quick
@given(shape=maps)
def test_one_group_is_layernorm_over_chw(memory_format, shape):
    x = images(shape, memory_format)
    assert_same(norm("groupnorm", shape[1], num_groups=1), norm("layernorm", shape[1]), x)
    assert_same(norm("layernorm", shape[1]), lambda x: F.layer_norm(x, x.shape[1:]), x)


@FORMATS
@quick
@given(shape=maps)
def test_one_channel_a_group_is_instancenorm(memory_format, shape):
    x = images(shape, memory_format)
    assert_same(
        norm("groupnorm", shape[1], channels_per_group=1), norm("instancenorm", shape[1]), x
    )


@FORMATS
@quick
@given(shape=maps)
def test_layernorm_is_rmsnorm_of_the_centred_input(memory_format, shape):
    x = images(shape, memory_format)
    rms = norm("rmsnorm", shape[1])
    assert_same(norm("layernorm", shape[1]), lambda x: rms(x - x.mean((1, 2, 3), keepdim=True)), x)


@quick
@given(n=st.integers(1, 6), t=st.integers(1, 6), c=st.integers(2, 12))
def test_layernorm_of_tokens_is_rmsnorm_of_the_centred_input(n, t, c):
    x = draw("NTC", shape=(n, t, c))
    rms = norm("rmsnorm", c, "NTC")
    assert_same(norm("layernorm", c, "NTC"), lambda x: rms(x - x.mean(2, keepdim=True)), x)
    assert_same(norm("layernorm", c, "NTC"), norm("channel_layernorm", c, "NTC"), x)
    assert_same(rms, norm("pixelnorm", c, "NTC"), x)


@FORMATS
@quick
@given(shape=maps, ghost=st.integers(1, 8))
def test_ghost_batches_are_batchnorm_of_each_part(memory_format, shape, ghost):
    x = images(shape, memory_format)
    plain = norm("batchnorm", shape[1])
    assert_same(
        norm("batchnorm", shape[1], ghost_batch=ghost),
        lambda x: torch.cat([plain(p) for p in x.split(ghost)]),
        x,
    )


@pytest.mark.parametrize("layout", ["NC", "NTC"])
@quick
@given(n=st.integers(4, 9), ghost=st.integers(2, 4), c=st.integers(1, 8))
def test_ghost_batches_without_maps(layout, n, ghost, c):
    if n % ghost == 1 and layout == "NC":
        n += 1  # a rest of one is refused
    x = draw(layout, shape=(n, c) if layout == "NC" else (n, 3, c))
    plain = norm("batchnorm", c, layout)
    assert_same(
        norm("batchnorm", c, layout, ghost_batch=ghost),
        lambda x: torch.cat([plain(p) for p in x.split(ghost)]),
        x,
    )


@FORMATS
@quick
@given(shape=maps, more=st.integers(0, 3))
def test_a_ghost_batch_as_large_as_the_batch_is_batchnorm(memory_format, shape, more):
    x = images(shape, memory_format)
    ghost, plain = (
        norm("batchnorm", shape[1], ghost_batch=shape[0] + more),
        nn.BatchNorm2d(shape[1]).double(),
    )
    assert_same(ghost, plain, x)
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(ghost.state_dict()[name], buffer)


@FORMATS
@quick
@given(shape=maps, ghost=st.one_of(st.none(), st.integers(1, 4)))
def test_batchrenorm_without_corrections_is_batchnorm(memory_format, shape, ghost):
    x = images(shape, memory_format)
    renorm = norm("batchrenorm", shape[1], r_max=1, d_max=0, warmup_steps=0, ghost_batch=ghost)
    plain = norm("batchnorm", shape[1], ghost_batch=ghost)
    assert_same(renorm, plain, x)
    torch.testing.assert_close(renorm.running_var, plain.running_var)


def test_batchrenorm_with_wide_limits_normalizes_by_the_running_statistics():
    renorm = norm("batchrenorm", 4, r_max=1e9, d_max=1e9, warmup_steps=0)
    x = images((5, 4, 3, 3))
    with torch.no_grad():
        renorm.running_mean.add_(2)
        renorm.running_var.mul_(9)
    torch.testing.assert_close(renorm(x), (x - 2) / (9 + 1e-5) ** 0.5)


@pytest.mark.parametrize("options", [{}, {"frozen": True}], ids=case_id)
def test_batchnorm_in_eval_mode_is_affine(options):
    layer = norm("batchnorm", 4, **options).eval()
    layer.running_mean.add_(2)
    layer.running_var.mul_(9)
    a, b = images((5, 4, 3, 3)), draw("NCHW", seed=1, shape=(5, 4, 3, 3))
    torch.testing.assert_close(layer(0.3 * a + 0.7 * b), 0.3 * layer(a) + 0.7 * layer(b))


@FORMATS
@quick
@given(shape=maps)
def test_eval_statistics_of_the_batch_and_of_the_instance(memory_format, shape):
    x = images(shape, memory_format)
    training = norm("batchnorm", shape[1])
    assert_same(norm("batchnorm", shape[1], statistics="batch").eval(), training, x)
    assert_same(
        norm("batchnorm", shape[1], statistics="instance").eval(), norm("instancenorm", shape[1]), x
    )


@quick
@given(shape=maps)
def test_channel_layernorm_normalizes_each_pixel(shape):
    n, c, height, width = shape
    x = images((n, c + 1, height, width))
    tokens = norm("layernorm", c + 1, "NC")

    def by_pixel(x):
        pixels = x.permute(0, 2, 3, 1).reshape(-1, c + 1)
        return tokens(pixels).view(n, height, width, c + 1).permute(0, 3, 1, 2)

    assert_same(norm("channel_layernorm", c + 1), by_pixel, x)


@quick
@given(n=st.integers(1, 5), t=st.integers(1, 6), groups=st.integers(1, 4), size=st.integers(2, 4))
def test_groupnorm_of_a_sequence_is_that_of_a_map_of_one_row(n, t, groups, size):
    x = draw("NTC", shape=(n, t, groups * size))
    on_maps = norm("groupnorm", groups * size, num_groups=groups)
    assert_same(
        norm("groupnorm", groups * size, "NTC", num_groups=groups),
        lambda x: on_maps(x.transpose(1, 2).unsqueeze(3).contiguous()).squeeze(3).transpose(1, 2),
        x,
    )


def test_the_taken_unit_of_frn_completes_it():
    x = images((2, 4, 3, 3))
    whole, parts = norm("frn", 4), norm("frn", 4)
    unit = parts.take_activation()
    assert parts(x).min() < 0
    torch.testing.assert_close(unit(parts(x)), whole(x))
    assert [name for name, _ in parts.named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in unit.named_parameters()] == ["tau"]
    with pytest.raises(RuntimeError, match="taken already"):
        parts.take_activation()


def test_where_frn_meets_its_threshold_the_gradient_goes_to_tau():
    """A blank image lies on the threshold of a new norm: as behind a ReLU, it gets no gradient."""
    blank = torch.zeros(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    layer = norm("frn", 4)
    layer(blank).sum().backward()
    assert not blank.grad.any()
    assert not layer.bias.grad.any()
    torch.testing.assert_close(layer.tau.grad, torch.full((4,), 18.0, dtype=torch.float64))
