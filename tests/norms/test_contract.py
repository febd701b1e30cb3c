"""What make_norm promises: options, refusals, dtypes under autocast and casts, state."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from norm_cases import CASES, CHANNELS, KIND_LAYOUTS, SHAPES, build, case_id, draw

from normlab.config.schema import SCHEMAS, compose, to_dict
from normlab.errors import NormLabError
from normlab.norms import KINDS, make_norm, require_causal


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
    for name in KINDS[kind].options:
        assert getattr(norm, name, None) is getattr(plain, name, None) or getattr(
            norm, name
        ) == getattr(plain, name)


def test_the_groups_of_groupnorm():
    assert make_norm("groupnorm", 32).num_groups == 8
    assert make_norm("groupnorm", 32, num_groups=4).num_groups == 4
    assert make_norm("groupnorm", 32, channels_per_group=2).num_groups == 16


CANNOT_BUILD = [
    (("foo", 4), {}, "unknown norm 'foo': choose one of batchnorm, batchrenorm, "),
    (("layernorm", 4, "NHWC"), {}, "unknown layout 'NHWC': choose one of NC, NCHW, NTC."),
    (("layernorm", 0), {}, "num_features must be at least 1, not 0."),
    (
        ("batchnorm", 4),
        {"ghost": 2},
        "unknown option 'ghost' of norm 'batchnorm': choose one of eps, momentum, ghost_batch",
    ),
    (
        ("none", 4),
        {"eps": 2},
        "unknown option 'eps' of norm 'none': leave it out, for it has none.",
    ),
    (("instancenorm", 4, "NC"), {}, "instancenorm cannot take layout NC: choose one of NCHW, NTC."),
    (("frn", 4, "NTC"), {}, "frn cannot take layout NTC: choose one of NCHW."),
    (
        ("groupnorm", 12),
        {},
        "num_groups=8 does not divide 12 channels: choose one of 1, 2, 3, 4, 6, 12.",
    ),
    (
        ("groupnorm", 12),
        {"num_groups": 0},
        "num_groups=0 does not divide 12 channels: choose one of 1, 2, 3, 4, 6, 12.",
    ),
    (
        ("groupnorm", 9),
        {"channels_per_group": 2},
        "channels_per_group=2 does not divide 9 channels: choose one of 1, 3, 9.",
    ),
    (
        ("groupnorm", 4),
        {"num_groups": 2, "channels_per_group": 2},
        "num_groups or channels_per_group, not both",
    ),
    (
        ("batchnorm", 4),
        {"ghost_batch": 0},
        "ghost_batch must be at least 1 sample or null for the whole batch, not 0.",
    ),
    (("batchrenorm", 4), {"ghost_batch": -1}, "ghost_batch must be at least 1"),
    (
        ("batchnorm", 4),
        {"momentum": 1.5},
        "momentum must be between 0 and 1 or null for the cumulative average, not 1.5.",
    ),
    (("batchrenorm", 4), {"momentum": -0.1}, "momentum must be between 0 and 1"),
    (
        ("batchnorm", 4),
        {"statistics": "group"},
        "unknown statistics 'group': choose one of running, batch, instance.",
    ),
    (
        ("batchnorm", 4, "NC"),
        {"statistics": "instance"},
        "one value per statistic on layout NC: use running or batch.",
    ),
    (
        ("batchnorm", 4),
        {"frozen": True, "statistics": "batch"},
        "a frozen batchnorm uses its running statistics",
    ),
    (
        ("batchrenorm", 4),
        {"r_max": 0.5},
        "batchrenorm needs r_max >= 1 and d_max >= 0, not 0.5 and 5.0.",
    ),
    (("batchrenorm", 4), {"d_max": -1.0}, "batchrenorm needs r_max >= 1 and d_max >= 0"),
    (("batchrenorm", 4), {"warmup_steps": -1}, "warmup_steps must be at least 0, not -1."),
    (("causal_batchnorm", 4, "NTC"), {"momentum": 2.0}, "momentum must be between 0 and 1"),
    (
        ("causal_batchnorm", 4, "NTC"),
        {"statistics": "batch"},
        "statistics 'batch': choose one of position, prefix.",
    ),
    (
        ("causal_batchnorm", 4, "NTC"),
        {"max_positions": 0},
        "max_positions must be at least 1, not 0.",
    ),
    *(
        ((kind, 8, spec.layouts[-1]), {"eps": 0.0}, "eps must be positive, not 0.0.")
        for kind, spec in KINDS.items()
        if "eps" in spec.options
    ),
    *(
        ((kind, 1, "NTC"), {}, "over 1 channel has one value per statistic: use norm=none there.")
        for kind in ("layernorm", "rmsnorm", "channel_layernorm", "pixelnorm")
    ),
]


@pytest.mark.parametrize(("arguments", "options", "sentence"), CANNOT_BUILD, ids=case_id)
def test_refused_when_built(arguments, options, sentence):
    with pytest.raises(NormLabError) as caught:
        make_norm(*arguments, **options)
    assert sentence in str(caught.value)
    assert_one_sentence(caught.value)


ONE_VALUE = [
    ("batchnorm", (1, 4, 1, 1), {}),
    ("syncbatchnorm", (1, 4, 1, 1), {}),
    ("batchnorm", (3, 4, 1, 1), {"ghost_batch": 1}),
    ("batchnorm", (3, 4, 1, 1), {"ghost_batch": 2}),  # a rest of one
    ("batchnorm", (1, 4), {}),
    ("batchnorm", (1, 1, 4), {}),
    ("batchrenorm", (5, 4), {"ghost_batch": 4}),
    ("causal_batchnorm", (1, 3, 4), {}),
    ("causal_batchnorm", (1, 3, 4), {"statistics": "prefix"}),
    ("instancenorm", (3, 4, 1, 1), {}),
    ("instancenorm", (3, 1, 4), {}),
    ("adain", (3, 4, 1, 1), {}),
    ("groupnorm", (3, 4), {"num_groups": 4}),
    ("groupnorm", (3, 4, 1, 1), {"num_groups": 4}),
    ("groupnorm", (3, 1, 4), {"num_groups": 4}),
    ("frn", (3, 4, 1, 1), {}),
    ("layernorm", (3, 1, 1, 1), {}),
    ("rmsnorm", (3, 1, 1, 1), {}),
]


@pytest.mark.parametrize(("kind", "shape", "options"), ONE_VALUE, ids=case_id)
def test_one_value_per_statistic_is_refused(kind, shape, options):
    layout = {2: "NC", 3: "NTC", 4: "NCHW"}[len(shape)]
    norm = make_norm(kind, shape[-1] if layout == "NTC" else shape[1], layout, **options)
    with pytest.raises(
        NormLabError, match=r"one value per statistic on this input.*: use "
    ) as caught:
        norm(torch.randn(shape))
    assert_one_sentence(caught.value)
    if KINDS[kind].train_eval_differ:
        norm.eval()(torch.randn(shape))  # the running statistics have more values


@pytest.mark.parametrize("statistics", ["batch", "instance"])
def test_one_value_per_statistic_is_refused_in_eval_mode_too(statistics):
    with pytest.raises(NormLabError, match="one value per statistic"):
        make_norm("batchnorm", 4, statistics=statistics).eval()(torch.randn(1, 4, 1, 1))


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_an_input_of_another_shape_is_refused(kind, layout):
    norm = make_norm(kind, CHANNELS, layout)
    wrong = {
        "NC": [(8, CHANNELS + 1), (8, CHANNELS, 4)],
        "NCHW": [(8, 4, 4, CHANNELS), (8, CHANNELS, 4)],
        "NTC": [(8, CHANNELS, CHANNELS + 1), (8, CHANNELS)],
    }
    for shape in wrong[layout]:
        with pytest.raises(NormLabError) as caught:
            norm(torch.randn(shape))
        assert f"{shape}: pass one of layout {layout} with {CHANNELS} channels" in str(caught.value)
        assert_one_sentence(caught.value)


def test_adain_refuses_a_style_of_another_shape():
    norm = make_norm("adain", 4)
    with pytest.raises(
        NormLabError, match=r"the scale of adain has shape \(4,\): pass one of shape \(2, 4\)"
    ):
        norm(torch.randn(2, 4, 3, 3), scale=torch.ones(4))
    with pytest.raises(NormLabError, match="the shift of adain"):
        norm(torch.randn(2, 4, 3, 3), shift=torch.ones(1, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_causal_model_takes_what_mixes_no_positions(kind):
    require_causal(kind, allow_noncausal=True)
    if KINDS[kind].causal_safe:
        require_causal(kind, allow_noncausal=False)
        return
    with pytest.raises(NormLabError) as caught:
        require_causal(kind, allow_noncausal=False)
    assert f"norm={kind} mixes positions" in str(caught.value)
    safe = ", ".join(name for name in KINDS if KINDS[name].causal_safe)
    assert f"choose one of {safe}, or" in str(caught.value)
    assert "allow_noncausal=true" in str(caught.value)
    assert_one_sentence(caught.value)


def test_an_unknown_kind_is_not_causal_either():
    with pytest.raises(NormLabError, match="unknown norm 'foo'"):
        require_causal("foo", allow_noncausal=True)


def assert_one_sentence(error):
    text = str(error)
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text


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
