"""Inputs without values, on another device or of another precision, where the table cannot look."""

import copy

import pytest
import torch
from norm_cases import CHANNELS, KIND_LAYOUTS, build, case_id, draw
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

from normlab import convert
from normlab.errors import NormLabError
from normlab.norms import KINDS, make_norm


@pytest.mark.parametrize(("kind", "layout"), KIND_LAYOUTS, ids=case_id)
def test_another_device_is_said_in_a_sentence(kind, layout):
    norm, x = build(kind, layout, {}), draw(layout).float()
    if norm.state() is None:
        assert norm(x.to("meta")).is_meta
        return
    with pytest.raises(NormLabError, match="lies on cpu and was given a tensor on meta: move one"):
        norm(x.to("meta"))
    with pytest.raises(NormLabError, match="lies on meta and was given a tensor on cpu"):
        norm.to("meta")(x)


@pytest.mark.parametrize("to", [kind for kind in KINDS if "NTC" in KINDS[kind].layouts])
@pytest.mark.parametrize("shape", [(0, CHANNELS), (0, 3, 2, CHANNELS), (2, 0, 3, CHANNELS)])
def test_an_expert_without_tokens_keeps_a_converted_norm(to, shape):
    expert = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.LayerNorm(CHANNELS))
    expert = convert(expert, to).model
    y = expert(torch.zeros(shape))
    assert y.shape == shape
    y.sum().backward()
    assert not any(one.grad.any() for one in expert.parameters())


@pytest.mark.parametrize("shape", [(0, 4, 3, 3, 3), (2, 4, 0, 3, 3), (0, 4, 5), (2, 4, 0)])
@pytest.mark.parametrize("to", ["groupnorm", "batchrenorm", "rmsnorm"])
def test_a_converted_batch_norm_takes_maps_without_values(to, shape):
    theirs = nn.BatchNorm3d(4) if len(shape) == 5 else nn.BatchNorm1d(4)
    model = convert(nn.Sequential(theirs), to).model
    assert model(torch.zeros(shape)).shape == shape


def test_momentum_none_counts_an_empty_batch_as_torch_does():
    ours, theirs = make_norm("batchnorm", CHANNELS, momentum=None), nn.BatchNorm2d(CHANNELS)
    theirs.momentum = None
    x = draw("NCHW").float()
    for batch in (x, x[:0], x + 1, x[..., :0]):
        ours(batch)
        theirs(batch)
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor)
    assert int(ours.num_batches_tracked) == 4


@pytest.mark.parametrize("options", [{"frozen": True}, {"track_running_stats": False}])
def test_an_empty_batch_leaves_a_norm_that_keeps_no_statistics(options):
    norm = make_norm("batchnorm", CHANNELS, **options)
    before = copy.deepcopy(norm.state_dict())
    assert norm(torch.zeros(0, CHANNELS, 2, 2)).shape == (0, CHANNELS, 2, 2)
    assert all(torch.equal(one, before[name]) for name, one in norm.state_dict().items())


def test_a_parametrized_norm_takes_another_precision():
    class Twice(nn.Module):
        def forward(self, weight):
            return 2 * weight

    for parametrize in (
        lambda norm: register_parametrization(norm, "weight", Twice()),
        lambda norm: parametrizations.weight_norm(norm, "weight", dim=None),
    ):
        norm = make_norm("layernorm", CHANNELS, "NC")
        parametrize(norm)
        x = draw("NC")
        y = norm(x)
        y.backward(x)
        torch.testing.assert_close(y, copy.deepcopy(norm).double()(x), rtol=1e-7, atol=1e-7)
        assert all(one.grad.dtype == torch.float32 for one in norm.parameters())


def test_hooks_run_once_in_another_precision():
    norm, calls = make_norm("layernorm", CHANNELS, "NC"), []
    norm.register_forward_hook(lambda *_: calls.append(1))
    norm(draw("NC"))
    assert calls == [1]


def test_not_a_number_stays_in_its_channel_of_the_running_statistics():
    for kind in ("batchnorm", "batchrenorm", "syncbatchnorm"):
        norm, x = make_norm(kind, CHANNELS), draw("NCHW").float()
        x[1, 3, 0, 0] = torch.nan
        norm(x)
        for running in (norm.running_mean, norm.running_var):
            assert running.isnan().nonzero().tolist() == [[3]]
