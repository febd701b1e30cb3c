"""convert: which layers it replaces, what options it gives the new ones, and what it refuses."""

import copy

import pytest
import torch
from norm_layers_of_others import drawn
from torch import nn

import normlab
from normlab.errors import NormLabError
from normlab.norms import make_norm


def test_choosing_layers():
    def model():
        return nn.ModuleDict({"a": nn.LayerNorm(8), "b": nn.BatchNorm2d(8), "c": nn.LayerNorm(8)})

    def replaced(**choice):
        return [norm.names[0] for norm in normlab.convert(model(), "rmsnorm", **choice).replaced]

    assert replaced() == ["a", "b", "c"]
    assert replaced(from_="layernorm") == ["a", "c"]
    assert replaced(layers="[bc]") == ["b", "c"]
    assert replaced(layers=["a", "b"], from_="batchnorm") == ["b"]
    assert replaced(layers=lambda name, module: name == "c") == ["c"]


def test_the_same_kind_is_left_unless_options_ask_for_it():
    model = nn.Sequential(nn.BatchNorm2d(8))
    assert normlab.convert(model, "batchnorm").left[0].notes == ("it is a batchnorm already",)
    assert normlab.convert(model, "batchnorm", ghost_batch=2).replaced
    assert model[0].ghost_batch == 2


def test_the_same_kind_keeps_what_no_option_changes():
    def converted(layer, to, **options):
        model = nn.Sequential(layer)
        done = normlab.convert(model, to, from_=to, **options)
        assert len(done.replaced) == 1 and not done.replaced[0].notes
        return model[0]

    new = converted(nn.GroupNorm(32, 256, eps=1e-4), "groupnorm")
    assert (new.num_groups, new.eps) == (32, 1e-4)
    new = converted(nn.GroupNorm(32, 256), "groupnorm", eps=1e-3)
    assert (new.num_groups, new.eps) == (32, 1e-3)
    assert converted(nn.GroupNorm(32, 256), "groupnorm", channels_per_group=64).num_groups == 4
    old = make_norm("batchnorm", 8, "NCHW", ghost_batch=2, statistics="batch", momentum=None)
    new = converted(old, "batchnorm", eps=1e-3)
    assert (new.ghost_batch, new.statistics, new.momentum) == (2, "batch", None)
    old = make_norm("batchrenorm", 8, "NCHW", r_max=2.0, warmup_steps=7)
    new = converted(old, "batchrenorm", d_max=1.0)
    assert (new.r_max, new.d_max, new.warmup_steps) == (2.0, 1.0, 7)
    old = drawn(make_norm("frn", 8, "NCHW"))
    new = converted(old, "frn", eps=1e-3)
    assert new.tau is old.tau
    old.take_activation()
    assert converted(old, "frn").tau is None
    old = drawn(make_norm("dyt", 8, "NTC"))
    assert converted(old, "dyt").alpha is old.alpha
    assert float(converted(old, "dyt", alpha=0.25).alpha.detach()) == 0.25


def test_ghost_batches_go_along_to_another_batch_norm():
    model = nn.Sequential(make_norm("batchnorm", 8, "NCHW", ghost_batch=2))
    normlab.convert(model, "batchrenorm")
    assert model[0].ghost_batch == 2
    by_position = nn.Sequential(make_norm("causal_batchnorm", 8, "NTC"))
    assert (
        "running statistics dropped" in normlab.convert(by_position, "batchnorm").replaced[0].notes
    )  # of other shape


@pytest.mark.parametrize(
    "channels, groups", [(1, 1), (2, 1), (4, 2), (7, 1), (8, 4), (12, 6), (16, 8), (20, 5)]
)
def test_groups_have_two_channels_or_more(channels, groups):
    model = nn.Sequential(nn.BatchNorm1d(channels))
    done = normlab.convert(model, "groupnorm")
    assert model[0].num_groups == groups
    assert any("8 groups" in note for note in done.replaced[0].notes) == (groups < 8)
    if channels > 1:
        assert bool(model(torch.randn(3, channels)).isfinite().all())


def test_an_option_that_a_layer_cannot_have_leaves_that_layer():
    model = nn.Sequential(nn.BatchNorm2d(8), nn.BatchNorm2d(6))
    done = normlab.convert(model, "groupnorm", num_groups=4)
    assert len(done.replaced) == 1 and "does not divide 6 channels" in done.left[0].notes[0]
    assert (
        normlab.convert(nn.Sequential(nn.LayerNorm(8)), "frn")
        .left[0]
        .notes[0]
        .startswith("frn cannot take layout")
    )


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")
def test_refusals():
    model = nn.Sequential(nn.BatchNorm2d(8))
    for message, arguments in (
        ("unknown norm 'foo': choose one of batchnorm", {"to": "foo"}),
        (
            "unknown option of groupnorm 'gruops': choose one of eps, num_groups",
            {"to": "groupnorm", "gruops": 2},
        ),
        (
            "unknown option 'eps' of none: leave it out, for it has none",
            {"to": "none", "eps": 1e-3},
        ),
        ("unknown kind in from_ 'bn': choose one of batchnorm", {"to": "groupnorm", "from_": "bn"}),
        ("layers='x' matches no norm layer: choose among 0", {"to": "groupnorm", "layers": "x"}),
    ):
        with pytest.raises(NormLabError, match=message):
            normlab.convert(model, **arguments)
    with pytest.raises(NormLabError, match="before scripting"):
        normlab.convert(torch.jit.script(nn.Sequential(nn.ReLU())), "groupnorm")
    assert isinstance(model[0], nn.BatchNorm2d)


def test_what_a_norm_of_the_same_kind_has_not_stays_away():
    layers = nn.Sequential(
        nn.BatchNorm3d(4, affine=False),
        nn.InstanceNorm3d(4, affine=True, track_running_stats=True),
    )
    x = torch.randn(2, 4, 3, 2, 2)
    layers(x)
    for to, index in (("batchnorm", 0), ("instancenorm", 1)):
        old = layers[index]
        new = normlab.convert(nn.Sequential(copy.deepcopy(old)), to, eps=1e-5).model[0]
        assert new.layout == "NCDHW"
        assert new.state_dict().keys() == old.state_dict().keys()
        torch.testing.assert_close(new.eval()(x), copy.deepcopy(old).eval()(x))
    plain = nn.Sequential(nn.LayerNorm(8, bias=False))
    new = normlab.convert(plain, "layernorm", eps=1e-4).model[0]
    assert new.weight is not None and new.bias is None


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_what_replaces_an_instance_norm_takes_one_sample_without_a_batch(dims):
    cls = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[dims - 1]
    old = cls(4, affine=True)
    x = torch.randn(4, *[5] * dims)
    new = normlab.convert(nn.Sequential(old), "groupnorm", num_groups=4).model
    torch.testing.assert_close(new(x), old(x))
    torch.testing.assert_close(new(x[None].repeat(2, *[1] * (dims + 1)))[1], old(x))


def test_syncbatchnorm_says_what_a_model_of_ones_own_needs():
    (norm,) = normlab.convert(nn.Sequential(nn.BatchNorm2d(4)), "syncbatchnorm").norms
    assert any("init_process_group()" in note for note in norm.notes)
    (norm,) = normlab.convert(
        nn.Sequential(nn.BatchNorm2d(4)), "syncbatchnorm", fallback=True
    ).norms
    assert not any("init_process_group()" in note for note in norm.notes)
