"""What make_norm and its layers refuse, in one sentence each."""

import pytest
import torch
from norm_cases import CHANNELS, KIND_LAYOUTS, case_id

from normlab.errors import NormLabError
from normlab.norms import KINDS, make_norm, require_causal

CANNOT_BUILD = [
    (("foo", 4), {}, "unknown norm 'foo': choose one of batchnorm, batchrenorm, "),
    (
        ("layernorm", 4, "NHWC"),
        {},
        "unknown layout 'NHWC': choose one of NC, NCL, NCHW, NCDHW, NTC.",
    ),
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
    (("instancenorm", 4, "NC"), {}, "instancenorm cannot take layout NC: choose one of NCL, "),
    (("frn", 4, "NTC"), {}, "frn cannot take layout NTC: choose one of NCL, "),
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
        "NCL": [(8, 4, CHANNELS), (8, CHANNELS, 4, 4)],
        "NCHW": [(8, 4, 4, CHANNELS), (8, CHANNELS, 4)],
        "NCDHW": [(8, 4, 4, 4, CHANNELS), (8, CHANNELS, 4, 4)],
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
