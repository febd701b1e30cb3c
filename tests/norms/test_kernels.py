"""The kernels in C: against the oracle, and to the same bits wherever a row lies."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_cases import case_id, draw, oracle_state

from normlab.norms import KINDS, kernels, make_norm
from normlab.norms.formulas import reference
from normlab.norms.kernels import library

built = pytest.mark.skipif(
    library._library() is None, reason="no kernels in C: they are built by `pip install -e .`"
)
KINDS_WITH = [
    ("rmsnorm", {}),
    ("layernorm", {}),
    ("channel_layernorm", {}),
    ("groupnorm", {"channels_per_group": 2}),
    ("groupnorm", {"num_groups": 1}),
    ("instancenorm", {}),
    ("batchnorm", {}),
    ("batchnorm", {"ghost_batch": 2}),
    ("batchnorm", {"ghost_batch": 3}),
]
# Rows shorter and longer than a block and a chunk, few and many; runs of pixels of every length.
SHAPES = {
    "NC": [(4, 2), (6, 34), (600, 64), (3, 5002)],
    "NTC": [(2, 3, 6), (4, 130, 16), (2, 9, 200)],
    "NCHW": [
        (4, 6, 1, 2),
        (2, 16, 4, 4),
        (9, 8, 5, 3),
        (8, 4, 17, 31),
        (2, 2, 70, 70),
        (12, 10, 3, 3),
    ],
}


def channels(layout, shape):
    return shape[-1] if layout == "NTC" else shape[1]


def possible(kind, options, layout, shape):
    """Not one value per statistic, which is refused, and whole groups."""
    c, n = channels(layout, shape), shape[0]
    if kind == "batchnorm" and layout == "NC":
        return n % options.get("ghost_batch", n) != 1
    if options.get("channels_per_group") and c % 2:
        return False
    return (kind, layout) != ("channel_layernorm", "NC") or c > 1


FORMATS = [torch.contiguous_format, torch.channels_last]
CASES = [
    (kind, options, layout, shape, memory_format)
    for kind, options in KINDS_WITH
    for layout in SHAPES
    if layout in KINDS[kind].layouts
    for shape in SHAPES[layout]
    for memory_format in (FORMATS if layout == "NCHW" else FORMATS[:1])
    if possible(kind, options, layout, shape)
]
quick = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(params=["with", "without"])
def each_way(request):
    """With the kernels, where they are built, and without."""
    if request.param == "with":
        if library._library() is None:
            pytest.skip("no kernels in C")
        yield
    else:
        with kernels.without_kernels():
            yield


@pytest.fixture(autouse=True)
def _on(monkeypatch):
    """Whatever the environment says."""
    monkeypatch.delenv("NORMLAB_KERNELS", raising=False)
    monkeypatch.setattr(library, "_state", library._load())


def build(kind, options, layout, shape):
    norm = make_norm(kind, channels(layout, shape), layout, **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(torch.rand(parameter.shape, generator=generator))
    return norm


def outcome(norm, x, dy):
    """Output and gradients of input and parameters."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = norm(x)
    return [y.detach(), *torch.autograd.grad(y, [x, *norm.parameters()], dy)]


def by_formula(norm, kind, options, layout, x, dy):
    parameters, running = oracle_state(norm)
    x64 = x.detach().double().requires_grad_()
    running = {"running": running} if running else {}
    y = reference(kind, x64, layout, parameters, **running, **options)
    points = [x64, *(parameters[name] for name, _ in norm.named_parameters())]
    return [y.detach(), *torch.autograd.grad(y, points, dy.double())], running.get("running", {})


def check(kind, options, layout, x, *, tolerance):
    """To `tolerance` of the largest value, or of 1, in output, gradients and buffers."""
    norm = build(kind, options, layout, x.shape)
    dy = draw(layout, seed=1, shape=tuple(x.shape)).to(x.dtype)
    wanted, running = by_formula(norm, kind, options, layout, x, dy)
    for actual, oracle in zip(outcome(norm, x, dy), wanted, strict=True):
        assert actual.dtype in (x.dtype, torch.float32)
        size = oracle.abs().max().clamp(min=1)
        assert (actual.double() - oracle).abs().max() <= tolerance * size
    for name, buffer in running.items():
        torch.testing.assert_close(
            norm.state_dict()[name].double(), buffer.double(), rtol=1e-6, atol=1e-6
        )


def inputs(layout, shape, dtype, memory_format):
    x = draw(layout, shape=shape).to(dtype)
    return x.contiguous(memory_format=memory_format) if layout == "NCHW" else x


def by_kernel(kind, layout, memory_format):
    """Where torch's own is the faster one, it stays."""
    if library._state.name == "torch":
        return False
    if layout == "NCHW" and memory_format == torch.contiguous_format:
        return kind in ("rmsnorm", "batchnorm")
    return (kind, layout) != ("groupnorm", "NC")


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(case_id, case)))
@pytest.mark.usefixtures("each_way")
def test_every_shape_matches_the_oracle(case):
    kind, options, layout, shape, memory_format = case
    x = inputs(layout, shape, torch.float32, memory_format)
    if not by_kernel(kind, layout, memory_format):
        check(kind, options, layout, x, tolerance=2e-3)
        return
    check(kind, options, layout, x, tolerance=1e-5)
    check(kind, options, layout, x.bfloat16(), tolerance=2**-7)


@built
@quick
@given(
    shape=st.tuples(*(st.integers(1, most) for most in (9, 20, 9, 9))),
    case=st.sampled_from(KINDS_WITH),
    memory_format=st.sampled_from(FORMATS),
)
def test_maps_of_any_shape_match_the_oracle(shape, case, memory_format):
    kind, options = case
    n, c, height, width = shape
    shape = n, 2 * c, height + 3, width
    if by_kernel(kind, "NCHW", memory_format):
        x = inputs("NCHW", shape, torch.float32, memory_format)
        check(kind, options, "NCHW", x, tolerance=2e-5)


@built
@pytest.mark.parametrize("offset", [1e3, 1e4])
@pytest.mark.parametrize("memory_format", FORMATS, ids=case_id)
@pytest.mark.parametrize(("kind", "options"), KINDS_WITH, ids=case_id)
def test_a_mean_far_from_zero(kind, options, memory_format, offset):
    """To the digits of float32: neither x² nor the mean itself is rounded to it."""
    for layout, shape in (("NTC", (6, 9, 256)), ("NCHW", (6, 8, 16, 17))):
        if by_kernel(kind, layout, memory_format):
            x = inputs(layout, shape, torch.float32, memory_format) + offset
            check(kind, options, layout, x, tolerance=1e-5)


@built
@pytest.mark.parametrize("memory_format", FORMATS, ids=case_id)
@pytest.mark.parametrize("value", [0.1, 1e4, -3e-5])
@pytest.mark.parametrize(("kind", "options"), KINDS_WITH, ids=case_id)
def test_a_constant_leaves_the_bias(kind, options, value, memory_format):
    if not by_kernel(kind, "NCHW", memory_format) or not KINDS[kind].centred:
        return
    norm = build(kind, options, "NCHW", (6, 8, 5, 3))
    x = torch.full((6, 8, 5, 3), value).contiguous(memory_format=memory_format)
    y, dx, *_ = outcome(norm, x, draw("NCHW", shape=x.shape).float())
    assert torch.equal(y, norm.bias.detach()[:, None, None].expand_as(y))
    assert dx.isfinite().all()


@built
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e17, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=case_id)
@pytest.mark.parametrize("kind", ["rmsnorm", "layernorm"])
def test_tiny_and_huge_rows(kind, dtype, scale):
    """Squares and their sums may be beyond float32."""
    x = (draw("NC", shape=(5, 70)) * scale).to(dtype)
    norm = build(kind, {}, "NC", x.shape)
    dy = draw("NC", seed=1, shape=(5, 70)).to(dtype)
    wanted, _ = by_formula(norm, kind, {}, "NC", x, dy)
    for actual, oracle in zip(outcome(norm, x, dy), wanted, strict=True):
        error = (actual.double() - oracle).abs().max() / oracle.abs().max()
        assert error < (1e-5 if dtype == torch.float32 else 2**-7)


@built
@pytest.mark.parametrize("scale", [1e-12, 1e12, 1e17])
@pytest.mark.parametrize(("kind", "options"), KINDS_WITH, ids=case_id)
def test_tiny_and_huge_maps(kind, options, scale):
    x = (draw("NCHW", shape=(6, 8, 5, 3)) * scale).float()
    x = x.contiguous(memory_format=torch.channels_last)
    norm = build(kind, options, "NCHW", x.shape)
    dy = draw("NCHW", seed=1, shape=tuple(x.shape)).float()
    wanted, _ = by_formula(norm, kind, options, "NCHW", x, dy)
    for actual, oracle in zip(outcome(norm, x, dy), wanted, strict=True):
        assert (actual.double() - oracle).abs().max() < 1e-5 * oracle.abs().max()


@built
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=case_id)
@quick
@given(rows=st.integers(1, 9), width=st.integers(2, 150), data=st.data())
def test_a_row_has_the_same_bits_in_any_batch_and_at_any_place(dtype, rows, width, data):
    x = draw("NC", shape=(rows, width)).to(dtype)
    dy = draw("NC", seed=1, shape=(rows, width)).to(dtype)
    order = torch.tensor(data.draw(st.permutations(range(rows))))[: data.draw(st.integers(1, rows))]
    for kind in ("rmsnorm", "layernorm"):
        norm = build(kind, {}, "NC", (rows, width))
        y, dx, *_ = outcome(norm, x, dy)
        some, dsome, *_ = outcome(norm, x[order], dy[order])
        assert torch.equal(some, y[order])
        assert torch.equal(dsome, dx[order])


@built
@pytest.mark.parametrize("memory_format", FORMATS, ids=case_id)
@pytest.mark.parametrize(
    ("kind", "options"), [case for case in KINDS_WITH if case[0] != "batchnorm"], ids=case_id
)
def test_a_sample_has_the_same_bits_in_any_batch(kind, options, memory_format):
    x, dy = (inputs("NCHW", (7, 8, 9, 5), torch.float32, memory_format) for _ in range(2))
    norm = build(kind, options, "NCHW", x.shape)
    y, dx, *_ = outcome(norm, x, dy)
    for part in (slice(2, 3), slice(1, 6)):
        some, dsome, *_ = outcome(norm, x[part], dy[part])
        assert torch.equal(some, y[part])
        assert torch.equal(dsome, dx[part])
