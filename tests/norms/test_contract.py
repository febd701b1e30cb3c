"""What make_norm promises: options, dtypes under autocast and casts, state, gradients."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from norm_cases import CASES, CHANNELS, KIND_LAYOUTS, SHAPES, build, case_id, draw

from normlab.config.compose import SCHEMAS, compose, to_dict
from normlab.norms import KINDS, make_norm


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_the_fields_of_the_configuration(kind):
    fields = {field.name for field in dataclasses.fields(SCHEMAS["norm", f"_{kind}"])} - {"kind"}
    assert set(KINDS[kind].options) == fields


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_file_states_every_default(kind):
    cfg = to_dict(compose([f"norm={kind}"]))["norm"]
    norm = make_norm(num_features=CHANNELS, layout=KINDS[kind].layouts[-1], **cfg)
    plain = make_norm(kind, CHANNELS, KINDS[kind].layouts[-1])
    assert str(norm) == str(plain)
    assert {**norm.__dict__, **norm._parameters}.keys() == {
        **plain.__dict__,
        **plain._parameters,
    }.keys()
    assert norm.state_dict().keys() == plain.state_dict().keys()
    for name in KINDS[kind].options:
        if name not in ("affine", "bias"):  # these are in the state
            assert getattr(norm, name, None) is getattr(plain, name, None) or getattr(
                norm, name
            ) == getattr(plain, name)


def test_the_groups_of_groupnorm():
    assert make_norm("groupnorm", 32).num_groups == 8
    assert make_norm("groupnorm", 32, num_groups=4).num_groups == 4
    assert make_norm("groupnorm", 32, channels_per_group=2).num_groups == 16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=case_id)
@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_autocast_changes_neither_the_dtype_nor_the_values(kind, layout, dtype):
    x = draw(layout).to(dtype)
    plain, cast = x.clone().requires_grad_(), x.clone().requires_grad_()
    wanted = build(kind, layout, {})(plain)
    wanted.backward(x)
    with torch.autocast("cpu", torch.bfloat16):
        norm = build(kind, layout, {})
        y = norm(cast)
        y.backward(x)  # inside, where a matrix product would be done in bfloat16
    assert y.dtype == dtype
    assert cast.grad.dtype == dtype
    tolerance = (
        {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1.6e-2, "atol": 1.6e-2}
    )
    torch.testing.assert_close(y, wanted, **tolerance)
    torch.testing.assert_close(cast.grad, plain.grad, **tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=case_id)
@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_parameters_stay_in_float32_when_the_model_is_cast(kind, layout, dtype):
    norm = build(kind, layout, {})
    wanted = norm.state_dict()
    norm.to(dtype)
    for name, tensor in norm.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
        assert not tensor.is_floating_point() or tensor.dtype == torch.float32
    assert norm(draw(layout).to(dtype)).dtype == dtype
    assert all(
        t.dtype == torch.float64
        for t in norm.double().state_dict().values()
        if t.is_floating_point()
    )


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_state_dict_round_trip(kind, layout):
    trained = build(kind, layout, {})
    trained(draw(layout).float())
    restored = make_norm(kind, CHANNELS, layout)
    restored.load_state_dict(trained.state_dict())
    x = draw(layout, seed=1).float()
    for mode in (True, False):
        assert torch.equal(
            copy.deepcopy(trained).train(mode)(x), copy.deepcopy(restored).train(mode)(x)
        )


def test_state_of_batchnorm_is_that_of_torch():
    theirs = torch.nn.BatchNorm2d(CHANNELS)
    theirs(draw("NCHW").float())
    for options in ({}, {"frozen": True}, {"ghost_batch": 2}):
        ours = make_norm("batchnorm", CHANNELS, **options)
        ours.load_state_dict(theirs.state_dict())
        x = draw("NCHW", seed=1).float()
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_frozen_batchnorm_stays_frozen():
    norm = make_norm("batchnorm", CHANNELS, frozen=True).train()
    x = draw("NCHW").float()
    y = norm(x)
    assert list(norm.parameters()) == []
    assert torch.equal(norm.running_mean, torch.zeros(CHANNELS))
    assert int(norm.num_batches_tracked) == 0
    torch.testing.assert_close(y, x, rtol=1e-4, atol=1e-4)
    assert torch.equal(norm.eval()(x), y)


@pytest.mark.parametrize("layout", SHAPES)
def test_batch_statistics_in_eval_mode_leave_the_running_ones_alone(layout):
    for statistics in ("batch",) if layout == "NC" else ("batch", "instance"):
        norm = build("batchnorm", layout, {"statistics": statistics, "ghost_batch": 2}).eval()
        before = copy.deepcopy(norm.state_dict())
        norm(draw(layout).float())
        assert all(torch.equal(before[name], tensor) for name, tensor in norm.state_dict().items())


@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=case_id
)
@pytest.mark.parametrize(("kind", "layout", "options"), CASES, ids=case_id)
def test_an_in_place_activation_may_follow(kind, layout, options, memory_format):
    x = draw(layout).float()
    if layout == "NCHW":
        x = x.contiguous(memory_format=memory_format)
    gradients = []
    for inplace in (True, False):
        point = x.clone().requires_grad_()
        hidden = point * 1  # not a leaf, for the norm that hands its input through
        y = F.relu(build(kind, layout, options)(hidden), inplace=inplace)
        y.backward(x)
        gradients.append(point.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_a_view_that_is_not_contiguous(kind, layout):
    x = draw(layout).float()
    wide = torch.stack([x, x + 1], dim=-1)[..., 0]
    assert not wide.is_contiguous()
    torch.testing.assert_close(build(kind, layout, {})(wide), build(kind, layout, {})(x))


@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=case_id
)
@pytest.mark.parametrize(("kind", "layout", "options"), CASES, ids=case_id)
def test_a_gradient_that_is_one_number_expanded(kind, layout, options, memory_format):
    """As `y.mean().backward()` and global pooling hand it back."""
    x = draw(layout)
    if layout == "NCHW":
        x = x.contiguous(memory_format=memory_format)
    one, all_ = (x.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    build(kind, layout, options, torch.float64)(one).sum().backward()
    build(kind, layout, options, torch.float64)(all_).backward(torch.ones_like(x))
    torch.testing.assert_close(one.grad, all_.grad)
