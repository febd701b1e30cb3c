"""Folding is exact wherever it is done, and whatever stays says why."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

import normlab
from normlab import compat  # noqa: F401  (torchvision beside a CPU build of torch)
from normlab.claims import random_nets
from normlab.models.mlp import MLP
from normlab.models.plaincnn import PlainCNN
from normlab.models.resnet import ResNet
from normlab.models.transformer import Transformer
from normlab.norms import KINDS, make_norm

PUBLIC = {  # library, model -> batch norms, and those that can be folded
    ("torchvision", "resnet18"): (20, 20),
    ("torchvision", "mobilenet_v2"): (52, 52),
    ("torchvision", "densenet121"): (121, 59),  # the others stand after a concatenation and before a ReLU
    ("torchvision", "googlenet"): (59, 57),  # two in heads for training only
    ("torchvision", "shufflenet_v2_x0_5"): (56, 56),
    ("torchvision", "convnext_tiny"): (0, 0),
    ("timm", "resnet10t"): (14, 14),
    ("timm", "regnetx_002"): (44, 44),
    ("timm", "mobilenetv3_small_050"): (34, 34),
    ("timm", "efficientnet_b0"): (49, 49),
}


def used(model):
    """`model` in float64, as after a training: no running statistic, scale or shift is what it was."""
    generator = torch.Generator().manual_seed(0)
    for module in model.double().modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.3, 2, generator=generator)
            if module.weight is not None:
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(0, 0.5, generator=generator)
    return model.eval()


def inputs(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@torch.no_grad()
def folded_like(model, x, folded=None, kept=None):
    """The Folding of `model`, after checking that it computes the same and that `model` is as it was."""
    before = copy.deepcopy(model.state_dict())
    folding = normlab.fold(model)
    target, y = model(x), folding.model(x)
    assert (y - target).abs().max() <= 1e-10 * target.abs().max()
    assert type(folding.model) is type(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    if folded is not None:
        assert [fate.name for fate in folding.folded] == folded, str(folding)
    if kept is not None:
        assert [fate.name for fate in folding.kept] == list(kept), str(folding)
        for fate in folding.kept:
            assert kept[fate.name] in fate.reason, fate
    return folding


@pytest.mark.parametrize(("library", "name"), PUBLIC)
def test_public_networks(library, name):
    if library == "timm":
        model = pytest.importorskip("timm").create_model(name)
    else:
        import torchvision

        options = {"init_weights": False} if name == "googlenet" else {}
        model = torchvision.models.get_model(name, weights=None, **options)
    folding = folded_like(used(model), inputs(2, 3, 48, 48))
    assert (len(folding.batch_norms), len(folding.folded)) == PUBLIC[library, name]
    left = sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in folding.model.modules())
    assert left == len(folding.kept)


def own(cls, norm, **options):
    return used(cls((3, 12, 12), 10, norm, False, torch.Generator().manual_seed(0), **options))


FOLDABLE = sorted({"batchnorm", "batchrenorm", "syncbatchnorm"} & set(KINDS))


@pytest.mark.parametrize("kind", FOLDABLE)
@pytest.mark.parametrize("cls", [PlainCNN, ResNet, MLP])
def test_own_networks(cls, kind):
    model = own(cls, partial(make_norm, kind), depth=8 if cls is ResNet else 3)
    folding = folded_like(model, inputs(4, 3, 12, 12), kept={})
    assert len(folding.folded) == (7 if cls is ResNet else 3)


def test_own_transformer_folds_into_the_linear_layers_after_its_norms():
    norm = partial(make_norm, "batchnorm")
    model = used(Transformer((8,), 11, norm, torch.Generator().manual_seed(0), depth=2, width=16, tied=False))
    folding = normlab.fold(model)
    ids = torch.randint(11, (3, 8), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(folding.model(ids), model(ids), rtol=1e-10, atol=1e-10)
    assert folding.folded or all(fate.reason for fate in folding.kept)


@pytest.mark.parametrize("kind", random_nets.KINDS)
def test_random_networks(kind):
    for seed in range(20):
        net, x = random_nets.random_network(kind, seed)
        folded_like(net.double(), x.double(), ["1", "4", "7"], {})


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d(6), (2, 4, 9)),
        (nn.Conv3d(2, 6, 2, bias=False), nn.BatchNorm3d(6, affine=False), (2, 2, 5, 5, 5)),
        (nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2), nn.SyncBatchNorm(6), (2, 4, 5)),
        (nn.ConvTranspose3d(4, 6, 2, stride=2, bias=False), nn.BatchNorm3d(6), (2, 4, 3, 3, 3)),
        (nn.Conv2d(4, 6, 3, padding="same"), nn.InstanceNorm2d(6, track_running_stats=True), (2, 4, 5, 5)),
        (nn.Linear(4, 6), make_norm("batchnorm", 6, "NTC"), (2, 5, 4)),
        (nn.Linear(4, 6), nn.Sequential(nn.Identity(), nn.Dropout(), nn.BatchNorm1d(6)), (3, 4)),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3)), nn.BatchNorm2d(6), (2, 4, 5, 5)),
    ],
)
def test_norm_after_a_layer(layer, norm, shape):
    folding = folded_like(used(nn.Sequential(layer, norm)), inputs(*shape), kept={})
    assert folding.folded[0].into == ("0",) and "into 0" in str(folding)


@pytest.mark.parametrize(
    ("norm", "layer", "shape"),
    [
        (nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2), (2, 4, 7, 7)),
        (nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, stride=2, padding=2, padding_mode="circular", bias=False), (2, 4, 7, 7)),
        (nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (2, 4, 7, 7)),
        (nn.BatchNorm1d(4), nn.Linear(4, 6, bias=False), (5, 4)),
        (make_norm("batchnorm", 4, "NTC"), nn.Linear(4, 6), (2, 5, 4)),
    ],
)
def test_norm_before_a_layer(norm, layer, shape):
    folding = folded_like(used(nn.Sequential(nn.ReLU(), norm, layer)), inputs(*shape), kept={})
    assert folding.folded[0].into == ("2",)


class Net(nn.Module):
    """A forward pass given as a function of the module and its input."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.run = forward
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.run(self, x)


def conv(channels=4, kernel=1, **options):
    return nn.Conv2d(channels, channels, kernel, **options)


def hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


def tied():
    a, b = conv(), conv()
    b.weight = a.weight
    return {"a": a, "b": b}


def never(m, x):
    return m.bn(m.a(x)) if x.sum() > 1e9 else m.bn(m.a(x)) + 1


PADDED = {"a": conv(kernel=3, padding=1)}
REFUSALS = {  # forward, modules other than a 1x1 convolution `a` and a batch norm `bn`, and a part of the reason
    "zero padding": (lambda m, x: m.a(m.bn(x)), PADDED, "pads with zeros"),
    "padding same": (lambda m, x: m.a(m.bn(x)), {"a": conv(kernel=3, padding="same")}, "pads with zeros"),
    "transposed": (lambda m, x: m.a(m.bn(x)), {"a": nn.ConvTranspose2d(4, 4, 2)}, "before a transposed"),
    "one of two pads": (lambda m, x: m.b(y := m.bn(x)) + m.a(y), {"b": conv(), **PADDED}, "pads with zeros"),
    "ReLU between": (lambda m, x: m.bn(m.a(x).relu()), {}, "comes from relu"),
    "both sides": (lambda m, x: m.bn(x * 2).tanh(), {}, "comes from mul; its output goes to tanh"),
    "shared layer": (lambda m, x: m.bn(m.a(m.a(x))), {}, "a is shared: it is called 2"),
    "shared norm": (lambda m, x: m.bn(m.a(m.bn(x))), {}, "bn is shared"),
    "used elsewhere": (lambda m, x: m.bn(y := m.a(x)) + y, {}, "used by add"),
    "tied weights": (lambda m, x: m.bn(m.a(m.b(x))), tied(), "shares its weights"),
    "read": (lambda m, x: m.bn(m.a(x)) * m.bn.weight.sum(), {}, "used outside"),
    "hook": (lambda m, x: m.bn(m.a(x)), {"a": hooked(conv())}, "hooks"),
    "no statistics": (lambda m, x: m.bn(m.a(x)), {"bn": nn.BatchNorm2d(4, track_running_stats=False)}, "no running"),
    "batch's own": (lambda m, x: m.bn(m.a(x)), {"bn": make_norm("batchnorm", 4, statistics="batch")}, "does more"),
    "other axis": (lambda m, x: m.bn(m.a(x)), {"a": nn.Linear(4, 4)}, "not those of the Linear"),
    "untraceable": (never, {}, "torch.fx cannot trace Net"),
    "unreached": (lambda m, x: m.a(x), {}, "does not reach it"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refuses_and_says_why(case):
    forward, modules, reason = REFUSALS[case]
    model = Net(forward, **{"a": conv(), "bn": nn.BatchNorm2d(4), **modules})
    folded_like(used(model), inputs(2, 4, 4, 4), [], {"bn": reason})


def test_refuses_what_is_written_over_before_the_layer_reads_it():
    def forward(m, x):
        x = x + 0
        y = m.bn(x)
        x.relu_()
        return m.a(y)

    folded_like(used(Net(forward, a=conv(), bn=nn.BatchNorm2d(4))), inputs(2, 4, 4, 4), [], {"bn": "writes in place"})


def test_train_mode_is_refused_and_a_frozen_norm_is_not():
    x = inputs(4, 4, 6, 6)
    model = used(nn.Sequential(conv(), nn.BatchNorm2d(4)))
    model[1].train()
    (fate,) = normlab.fold(model).batch_norms
    assert "call eval() first" in fate.reason
    frozen = used(nn.Sequential(conv(), make_norm("batchnorm", 4, frozen=True))).train()
    folded_like(frozen, x, ["1"], {})


def test_an_untraceable_part_leaves_the_rest_alone():
    part = Net(never, a=conv(), bn=nn.BatchNorm2d(4))
    model = used(nn.Sequential(conv(), nn.BatchNorm2d(4), part, conv(), nn.BatchNorm2d(4)))
    folded_like(model, inputs(2, 4, 4, 4), ["1", "4"], {"2.bn": "cannot trace Net"})


def test_calls_of_the_function_are_named():
    def forward(m, x):
        return nn.functional.batch_norm(m.a(x), m.mean, m.var)

    model = used(Net(forward, a=conv(), mean=nn.Parameter(torch.zeros(4)), var=nn.Parameter(torch.ones(4))))
    folded_like(model, inputs(2, 4, 4, 4), [], {"batch_norm": "no module"})


def test_a_linear_layer_with_a_folded_norm_takes_rows_only():
    # nn.BatchNorm1d would read the steps of (N, T, C) as channels where T = C, the folded layer the channels
    model = used(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    folding = folded_like(model, inputs(3, 4), ["1"], {})
    with pytest.raises(ValueError, match="exact for batches"):
        folding.model(inputs(3, 4, 4))


def test_two_norms_in_a_row_go_into_the_same_layer():
    model = used(nn.Sequential(conv(), nn.BatchNorm2d(4), nn.BatchNorm2d(4), conv(), nn.BatchNorm2d(4)))
    folded_like(model, inputs(2, 4, 4, 4), ["1", "2", "4"], {})


def test_formats_dtypes_and_gradients_of_weights_are_kept():
    model = (
        used(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)))
        .to(torch.bfloat16)
        .to(memory_format=torch.channels_last)
    )
    model[0].weight.requires_grad_(False)
    layer = normlab.fold(model).model[0]
    assert layer.weight.dtype == layer.bias.dtype == torch.bfloat16
    assert layer.weight.is_contiguous(memory_format=torch.channels_last) and not layer.weight.requires_grad
