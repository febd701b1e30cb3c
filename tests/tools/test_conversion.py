"""convert: what it carries over, what it leaves, and that nothing else changes."""

import copy

import pytest
import torch
import torch.nn.functional as F
from norm_layers_of_others import Gemma, LayerNormFirst, Named, drawn, images
from torch import nn

import normlab
import normlab.models.torchvision_operators  # before timm and torchvision
from normlab.norms import make_norm
from normlab.tools.norm_layers import find_norms


def test_batchnorm_by_ours_computes_what_it_did():
    for layer, x in (
        (nn.BatchNorm2d(8, momentum=0.3, eps=1e-3), images()),
        (nn.BatchNorm1d(8), images()[:, :, 0]),
        (nn.BatchNorm1d(8), images()[:, :, 0, 0]),
        (nn.BatchNorm3d(8), images()[..., None]),
        (nn.BatchNorm2d(8, track_running_stats=False), images()),
    ):
        layer = drawn(layer)
        model = nn.Sequential(copy.deepcopy(layer))
        normlab.convert(model, "batchnorm", from_="batchnorm")
        assert type(model[0]) is not type(layer)
        for mode in (False, True, False):
            layer.train(mode), model.train(mode)
            torch.testing.assert_close(model(x), layer(x), rtol=1e-5, atol=1e-5)


def test_layernorm_and_rmsnorm_by_ours_compute_what_they_did_on_any_leading_dimensions():
    for layer, to in (
        (nn.LayerNorm(8, eps=1e-3), "layernorm"),
        (nn.RMSNorm(8, eps=1e-3), "rmsnorm"),
        (Gemma(8), "rmsnorm"),
    ):
        model = nn.Sequential(copy.deepcopy(drawn(layer)))
        normlab.convert(model, to, from_=to)
        for shape in ((8,), (5, 8), (2, 5, 8), (2, 3, 5, 8)):
            x = torch.randn(shape)
            torch.testing.assert_close(model(x), layer(x), rtol=1e-5, atol=1e-5)


def test_channel_layernorm_of_maps_is_kept_per_pixel():
    layer = drawn(LayerNormFirst(8))
    model = nn.Sequential(copy.deepcopy(layer))
    normlab.convert(model, "channel_layernorm", from_="channel_layernorm")
    torch.testing.assert_close(model(images()), layer(images()), rtol=1e-5, atol=1e-5)


def test_a_layer_of_any_leading_dimensions_takes_its_first_for_the_samples():
    model = nn.Sequential(nn.LayerNorm(8))
    normlab.convert(model, "groupnorm", num_groups=2)
    x = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(model(x), F.group_norm(x.movedim(-1, 1), 2).movedim(1, -1))
    torch.testing.assert_close(model(x[0, 0]), F.group_norm(x[0, 0], 2))


def test_gain_and_shift_go_along_as_the_same_parameters():
    layer = drawn(nn.BatchNorm2d(8))
    weight, bias = layer.weight, layer.bias
    layer.bias.requires_grad_(False)
    model = nn.Sequential(layer)
    done = normlab.convert(model, "groupnorm", num_groups=2)
    assert model[0].weight is weight and model[0].bias is bias and not model[0].bias.requires_grad
    torch.testing.assert_close(model(images()), F.group_norm(images(), 2, weight, bias, layer.eps))
    assert done.replaced[0].notes == ("running statistics dropped",)


def test_without_keep_affine_gain_and_shift_start_anew():
    model = nn.Sequential(drawn(nn.BatchNorm2d(8)))
    normlab.convert(model, "groupnorm", keep_affine=False)
    assert bool((model[0].weight == 1).all()) and bool((model[0].bias == 0).all())


def test_what_does_not_go_along_is_said():
    def notes(layer, to, **options):
        return normlab.convert(nn.Sequential(layer), to, **options).replaced[0].notes

    assert "beta dropped, there is none in it" in notes(drawn(nn.LayerNorm(8)), "rmsnorm")
    assert "beta dropped, there is none in it (it was 0)" in notes(nn.LayerNorm(8), "rmsnorm")
    assert "gamma is new, and learned" in notes(nn.InstanceNorm2d(8), "groupnorm")
    assert "8 groups do not divide 12 channels" in notes(nn.BatchNorm2d(12), "groupnorm")
    assert any("an activation of its own" in note for note in notes(nn.BatchNorm2d(8), "frn"))
    assert any(
        "threshold dropped" in note for note in notes(make_norm("frn", 8, "NCHW"), "groupnorm")
    )
    assert any("not for a causal model" in note for note in notes(nn.LayerNorm(8), "groupnorm"))
    assert notes(nn.RMSNorm(8), "layernorm") == ("beta is new, and learned",)
    assert notes(nn.LayerNorm(8), "layernorm", from_="layernorm") == ()
    for layer, what in (
        (Gemma(8), "gamma"),
        (Named(8, "a", "b", twice=2.0), "beta"),
        (nn.RMSNorm(8).half(), "gamma"),
    ):
        assert f"{what} keeps its values in a new parameter" in notes(layer, "channel_layernorm")[0]
    assert "beta dropped, there is none in it" in notes(nn.LayerNorm(8, device="meta"), "rmsnorm")


def test_shift_goes_along_whatever_it_is_called():
    layer = drawn(Named(8, "a_2", "b_2"))
    model = nn.Sequential(layer)
    done = normlab.convert(model, "layernorm", from_="layernorm")
    assert (
        model[0].weight is layer.a_2 and model[0].bias is layer.b_2 and not done.replaced[0].notes
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_dtype_mode_and_device_stay(dtype, training):
    model = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)).to(dtype).train(training)
    model[1].train(not training)
    normlab.convert(model, "groupnorm")
    assert model(images().to(dtype)).dtype == dtype
    assert model[1].weight.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert model.training is training and model[1].training is not training
    adapted = nn.Sequential(nn.LayerNorm(8)).to(dtype).train(training)
    normlab.convert(adapted, "batchnorm")
    assert [module.training for module in adapted.modules()] == [training] * 3
    meta = nn.Sequential(nn.BatchNorm2d(8, device="meta"))
    normlab.convert(meta, "groupnorm")
    assert meta[0].weight.is_meta


def test_a_norm_without_tensors_gets_device_and_dtype_of_what_is_around_it():
    block = nn.Sequential(nn.InstanceNorm2d(8), nn.Conv2d(8, 8, 1))
    model = nn.Sequential(
        nn.Conv2d(8, 8, 1, device="meta"), block.double(), nn.LayerNorm(6, elementwise_affine=False)
    )
    normlab.convert(model, "groupnorm")
    assert model[1][0].weight.dtype == torch.float64 and model[2].weight.is_meta
    assert block(images().double()).dtype == torch.float64
    normlab.convert(nn.InstanceNorm2d(8), "groupnorm")  # nothing is around it


@pytest.mark.parametrize("norm", [nn.LayerNorm, Gemma])
def test_hooks_stay_and_can_be_removed(norm):
    model = nn.Sequential(norm(8), nn.Linear(8, 8))
    seen = []
    handles = [
        model[0].register_forward_hook(lambda module, args, output: seen.append("after")),
        model[0].register_forward_pre_hook(
            lambda module, args, kwargs: seen.append("before"), with_kwargs=True
        ),
        model[0].register_full_backward_hook(lambda module, given, got: seen.append("backward")),
    ]
    normlab.convert(model, "dyt")
    assert not seen
    model(torch.randn(2, 8, requires_grad=True)).sum().backward()
    assert seen == ["before", "after", "backward"]
    for handle in handles:
        handle.remove()
    model(torch.randn(2, 8, requires_grad=True)).sum().backward()
    assert len(seen) == 3


def test_a_shared_norm_is_replaced_once_and_stays_shared():
    norm = nn.LayerNorm(8)
    model = nn.ModuleDict({"a": nn.Sequential(norm), "b": norm})
    done = normlab.convert(model, "rmsnorm")
    assert model["a"][0] is model["b"] is not norm
    assert [outcome.names for outcome in done.replaced] == [("a.0", "b")]


def test_a_model_that_is_a_norm():
    done = normlab.convert(nn.BatchNorm2d(8), "groupnorm")
    assert type(done.model).__name__ == "GroupNorm" and len(done.replaced) == 1


def test_batchnorm_fused_with_its_activation_keeps_it():
    from timm.layers import BatchNormAct2d, GroupNormAct, LayerNormAct2d, RmsNormAct2d

    for layer, to in (
        (BatchNormAct2d(8, act_layer=nn.SiLU), "batchnorm"),
        (GroupNormAct(8, 2), "groupnorm"),
        (LayerNormAct2d(8, act_layer=nn.SiLU), "channel_layernorm"),
    ):
        layer = drawn(layer).eval()
        model = nn.Sequential(copy.deepcopy(layer))
        options = {"num_groups": 2} if to == "groupnorm" else {}
        done = normlab.convert(model, to, from_=to, **options)
        assert len(done.replaced) == 1
        torch.testing.assert_close(model(images()), layer(images()), rtol=1e-5, atol=1e-5)
    (found,) = find_norms(nn.Sequential(RmsNormAct2d(8)))
    assert found.kind == "channel_rmsnorm"
    model = nn.Sequential(BatchNormAct2d(8, act_layer=nn.SiLU))
    act = model[0].act
    normlab.convert(model, "groupnorm", num_groups=2)
    assert model[0].act is act
    torch.testing.assert_close(model(images()), F.silu(F.group_norm(images(), 2)))


def test_frozen_batchnorm_is_left_unless_asked_for():
    from torchvision.ops import FrozenBatchNorm2d

    model = nn.Sequential(drawn(FrozenBatchNorm2d(8)), nn.BatchNorm2d(8))
    done = normlab.convert(model, "groupnorm")
    assert len(done.replaced) == 1 and "frozen" in done.left[0].notes[0]
    frozen = copy.deepcopy(model[0])
    normlab.convert(model, "batchnorm", from_="frozen_batchnorm", frozen=True)
    torch.testing.assert_close(model[0](images()), frozen(images()))
    model = nn.Sequential(drawn(FrozenBatchNorm2d(8)))
    done = normlab.convert(model, "groupnorm", from_=["frozen_batchnorm"])
    assert len(done.replaced) == 1 and model[0].weight.requires_grad
    torch.testing.assert_close(model[0].weight.detach(), frozen.weight)
