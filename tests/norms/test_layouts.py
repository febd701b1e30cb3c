"""NCL and NCDHW are NCHW seen in another way; gain, shift, sizes, running statistics as asked."""

import pytest
import torch
from norm_cases import CHANNELS, SHAPES, VARIANTS, build, case_id, draw
from torch import nn

from normlab.config.compose import compose, to_dict
from normlab.errors import NormLabError
from normlab.norms import KINDS, make_norm, spec_of
from normlab.norms.tensors import as_maps
from normlab.records.record import trial_key

FORMATS = {
    "NCL": [torch.contiguous_format],
    "NCDHW": [torch.contiguous_format, torch.channels_last_3d],
}
CASES = [
    (kind, layout, memory_format, options)
    for kind, options in VARIANTS
    for layout in FORMATS
    if layout in KINDS[kind].layouts
    for memory_format in FORMATS[layout]
]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("kind", "layout", "memory_format", "options"), CASES, ids=case_id)
def test_the_bits_are_those_of_maps(kind, layout, memory_format, options, training):
    x = draw(layout).float().contiguous(memory_format=memory_format)
    dy = draw(layout, seed=1).float().contiguous(memory_format=memory_format)
    ours = build(kind, layout, options).train(training)
    maps = build(kind, "NCHW", options).train(training)
    y = ours(x.requires_grad_())
    point = as_maps(x.detach(), layout).requires_grad_()
    wanted = maps(point)
    assert torch.equal(y, wanted.view(y.shape))
    assert y.is_contiguous(memory_format=memory_format)
    y.backward(dy)
    wanted.backward(as_maps(dy, layout))
    assert torch.equal(x.grad, point.grad.view(x.shape))
    for name, parameter in ours.named_parameters():
        assert torch.equal(parameter.grad, maps.get_parameter(name).grad), name
    for name, tensor in maps.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


@pytest.mark.parametrize("layout", SHAPES)
def test_maps_are_no_copy(layout):
    for memory_format in FORMATS.get(layout, [torch.contiguous_format]):
        x = draw(layout).contiguous(memory_format=memory_format)
        assert as_maps(x, layout).data_ptr() == x.data_ptr()


def twins(kind, sizes, layout, dtype, **options):
    """Ours and torch's, with the same parameters, which are not those of a new layer."""
    cls = nn.LayerNorm if kind == "layernorm" else nn.RMSNorm
    ours, theirs = make_norm(kind, sizes, layout), cls(sizes, eps=1e-5, **options)
    for parameter in theirs.parameters():
        nn.init.uniform_(parameter, 0.5, 2)
    ours.load_state_dict(theirs.state_dict())
    return ours.to(dtype), theirs.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=case_id)
@pytest.mark.parametrize("layout", ["NCL", "NCHW", "NCDHW", "NTC"])
@pytest.mark.parametrize("kind", ["layernorm", "rmsnorm"])
def test_several_sizes_are_those_of_torch(kind, layout, dtype):
    formats = {
        "NCHW": [torch.contiguous_format, torch.channels_last],
        **FORMATS,
    }
    ours, theirs = twins(kind, SHAPES[layout][1:], layout, dtype)
    for memory_format in formats.get(layout, [torch.contiguous_format]):
        x = draw(layout).to(dtype).contiguous(memory_format=memory_format)
        one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, wanted = ours(one), theirs(two)
        assert y.is_contiguous(memory_format=memory_format)
        torch.testing.assert_close(y, wanted, rtol=1e-4, atol=1e-5)
        (y * x).sum().backward()
        (wanted * x).sum().backward()
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)
            a.grad = b.grad = None


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(NormLabError, match=r"pass the number of channels, or the sizes \(T, C\)"):
        make_norm("layernorm", (2, 3, 4), "NTC")
    with pytest.raises(NormLabError, match="BatchNorm takes one number of channels, not"):
        make_norm("batchnorm", (2, 3), "NCL")
    norm = make_norm("rmsnorm", (4, 3, 3))
    assert "normalized_shape=(4, 3, 3)" in str(norm)
    with pytest.raises(NormLabError, match=r"samples of \(4, 3, 3\).*pass samples of these sizes"):
        norm(torch.randn(2, 4, 3, 5))
    with pytest.raises(NormLabError, match="one value per statistic"):
        make_norm("layernorm", (1, 1), "NTC")(torch.randn(2, 1, 1))


@pytest.mark.parametrize("momentum", [0.1, 0.7])
@pytest.mark.parametrize(
    ("layout", "cls"),
    [("NCL", nn.InstanceNorm1d), ("NCHW", nn.InstanceNorm2d), ("NCDHW", nn.InstanceNorm3d)],
)
def test_running_statistics_of_instance_norm_are_those_of_torch(layout, cls, momentum):
    theirs = cls(CHANNELS, momentum=momentum, affine=True, track_running_stats=True)
    ours = make_norm("instancenorm", CHANNELS, layout, track_running_stats=True, momentum=momentum)
    ours.load_state_dict(theirs.state_dict())
    for seed in range(3):
        x = draw(layout, seed).float()
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    assert int(ours.num_batches_tracked) == 3
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours(x[0]), theirs(x[0]), rtol=1e-4, atol=1e-5)


def test_instance_norm_takes_one_sample_by_itself():
    norm, x = make_norm("instancenorm", CHANNELS, "NCL"), draw("NCL").float()
    assert torch.equal(norm(x[0]), norm(x[:1])[0])


@pytest.mark.parametrize("kind", ["batchnorm", "syncbatchnorm"])
def test_batch_norm_without_running_statistics(kind):
    norm = make_norm(kind, CHANNELS, track_running_stats=False)
    assert norm.state_dict().keys() == {"weight", "bias"}
    x = draw("NCHW").float()
    torch.testing.assert_close(norm(x), norm.eval()(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(NormLabError, match="leave out track_running_stats=False"):
        make_norm("batchnorm", CHANNELS, frozen=True, track_running_stats=False)


@pytest.mark.parametrize("kind", [kind for kind, spec in KINDS.items() if spec.has_shift])
def test_what_is_left_out_is_said_and_declared(kind):
    layout = KINDS[kind].layouts[-1]
    without, gain = (
        make_norm(kind, CHANNELS, layout, **{name: False}) for name in ("affine", "bias")
    )
    assert without.weight is None and without.bias is None and gain.bias is None
    assert gain.weight.shape == (CHANNELS,)
    assert "affine=False" in str(without) and "bias=False" in str(gain)
    assert not spec_of(kind, affine=False).has_shift and not spec_of(kind, bias=False).has_shift
    assert spec_of(kind, affine=True, bias=True) == KINDS[kind]


def key_of(*overrides):
    return trial_key(to_dict(compose(overrides)))


def test_options_that_came_later_leave_keys_as_they_were():
    cfg = to_dict(compose(["norm=instancenorm"]))
    later = {"affine": True, "bias": True, "track_running_stats": False, "momentum": 0.1}
    assert cfg["norm"] == {"kind": "instancenorm", "eps": 1e-5, **later}
    before = {**cfg, "norm": {"kind": "instancenorm", "eps": 1e-5}}
    assert trial_key(cfg) == trial_key(before)


def test_a_false_in_them_is_a_choice():
    keys = {key_of("norm=batchnorm")}
    for name in ("affine", "bias", "track_running_stats"):
        keys.add(key_of("norm=batchnorm", f"norm.{name}=false"))
    keys.add(key_of("norm=batchnorm", "norm.frozen=true"))
    assert len(keys) == 5
    plain = key_of("norm=instancenorm")
    assert key_of("norm=instancenorm", "norm.momentum=null") != plain
    assert key_of("norm=instancenorm", "norm.track_running_stats=true") != plain
    assert key_of("norm=instancenorm", "norm.track_running_stats=false") == plain
