"""Folding is exact wherever it is done."""

from functools import partial

import pytest
import torch
from fold_cases import conv, folded_like, inputs, used
from torch import nn

import normlab
from normlab.measure import random_networks as random_nets
from normlab.models import torchvision_operators  # noqa: F401  (before torchvision)
from normlab.models.mlp import MLP
from normlab.models.plaincnn import PlainCNN
from normlab.models.resnet import ResNet
from normlab.models.transformer import Transformer
from normlab.norms import KINDS, make_norm

PUBLIC = {  # library, model -> batch norms, and those that can be folded
    ("torchvision", "resnet18"): (20, 20),
    ("torchvision", "mobilenet_v2"): (52, 52),
    ("torchvision", "densenet121"): (
        121,
        59,
    ),  # the others stand after a concatenation and before a ReLU
    ("torchvision", "googlenet"): (59, 57),  # two in heads for training only
    ("torchvision", "shufflenet_v2_x0_5"): (56, 56),
    ("torchvision", "convnext_tiny"): (0, 0),
    ("timm", "resnet10t"): (14, 14),
    ("timm", "regnetx_002"): (44, 44),
    ("timm", "mobilenetv3_small_050"): (34, 34),
    ("timm", "efficientnet_b0"): (49, 49),
}


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
    left = sum(
        isinstance(module, nn.modules.batchnorm._BatchNorm) for module in folding.model.modules()
    )
    assert left == len(folding.kept)


def own(cls, norm, **options):
    generator = torch.Generator().manual_seed(0)
    return used(cls((3, 12, 12), 10, norm, False, generator, width=16, **options))


FOLDABLE = sorted({"batchnorm", "batchrenorm", "syncbatchnorm"} & set(KINDS))


@pytest.mark.parametrize("kind", FOLDABLE)
@pytest.mark.parametrize("cls", [PlainCNN, ResNet, MLP])
def test_own_networks(cls, kind):
    model = own(cls, partial(make_norm, kind), depth=8 if cls is ResNet else 3)
    folding = folded_like(model, inputs(4, 3, 12, 12), kept={})
    assert len(folding.folded) == (7 if cls is ResNet else 3)


def test_own_transformer_folds_into_the_linear_layers_after_its_norms():
    norm = partial(make_norm, "batchnorm")
    model = used(
        Transformer((8,), 11, norm, torch.Generator().manual_seed(0), depth=2, width=16, tied=False)
    )
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
        (
            nn.Conv2d(4, 6, 3, padding="same"),
            nn.InstanceNorm2d(6, track_running_stats=True),
            (2, 4, 5, 5),
        ),
        (nn.Linear(4, 6), make_norm("batchnorm", 6, "NTC"), (2, 5, 4)),
        (nn.Linear(4, 6), nn.Sequential(nn.Identity(), nn.Dropout(), nn.BatchNorm1d(6)), (3, 4)),
        (
            nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3)),
            nn.BatchNorm2d(6),
            (2, 4, 5, 5),
        ),
    ],
)
def test_norm_after_a_layer(layer, norm, shape):
    folding = folded_like(used(nn.Sequential(layer, norm)), inputs(*shape), kept={})
    assert folding.folded[0].into == ("0",) and "into 0" in str(folding)


@pytest.mark.parametrize(
    ("norm", "layer", "shape"),
    [
        (nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2), (2, 4, 7, 7)),
        (
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 6, 3, stride=2, padding=2, padding_mode="circular", bias=False),
            (2, 4, 7, 7),
        ),
        (nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (2, 4, 7, 7)),
        (nn.BatchNorm1d(4), nn.Linear(4, 6, bias=False), (5, 4)),
        (make_norm("batchnorm", 4, "NTC"), nn.Linear(4, 6), (2, 5, 4)),
    ],
)
def test_norm_before_a_layer(norm, layer, shape):
    folding = folded_like(used(nn.Sequential(nn.ReLU(), norm, layer)), inputs(*shape), kept={})
    assert folding.folded[0].into == ("2",)


def test_train_mode_is_refused_and_a_frozen_norm_is_not():
    x = inputs(4, 4, 6, 6)
    model = used(nn.Sequential(conv(), nn.BatchNorm2d(4)))
    model[1].train()
    (fate,) = normlab.fold(model).batch_norms
    assert "call eval() first" in fate.reason
    frozen = used(nn.Sequential(conv(), make_norm("batchnorm", 4, frozen=True))).train()
    folded_like(frozen, x, ["1"], {})


class FrozenByCode(nn.Module):
    """A frozen batch norm as transformers has them: its eps stands in the code."""

    def __init__(self, channels, eps):
        super().__init__()
        for name in ("weight", "running_var"):
            self.register_buffer(name, torch.ones(channels))
        for name in ("bias", "running_mean"):
            self.register_buffer(name, torch.zeros(channels))
        self.code = lambda variance: (variance + eps).rsqrt()

    def forward(self, x):
        scale = (self.weight * self.code(self.running_var)).view(-1, 1, 1)
        return x * scale + self.bias.view(-1, 1, 1) - self.running_mean.view(-1, 1, 1) * scale


def test_an_eps_that_stands_in_the_code_is_guessed_or_named():
    for eps in (0.0, 1e-5):
        model = used(nn.Sequential(conv(), FrozenByCode(4, eps)))
        folded_like(model, inputs(2, 4, 6, 6), ["1"], {})
    model = used(nn.Sequential(conv(), FrozenByCode(4, 1e-3)))
    folded_like(model, inputs(2, 4, 6, 6), [], {"1": "has an eps that is not known"})


def test_a_linear_layer_with_a_folded_norm_takes_rows_only():
    # nn.BatchNorm1d would read the steps of (N, T, C) as channels where T = C, and the folded layer
    # its channels.
    model = used(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    folding = folded_like(model, inputs(3, 4), ["1"], {})
    with pytest.raises(ValueError, match="exact for batches"):
        folding.model(inputs(3, 4, 4))


def test_two_norms_in_a_row_go_into_the_same_layer():
    model = used(nn.Sequential(conv(), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.ReLU()))
    folded_like(model, inputs(2, 4, 4, 4), ["1", "2"], {})


def test_formats_dtypes_and_gradients_of_weights_are_kept():
    model = (
        used(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)))
        .to(torch.bfloat16)
        .to(memory_format=torch.channels_last)
    )
    model[0].weight.requires_grad_(False)
    layer = normlab.fold(model).model[0]
    assert layer.weight.dtype == layer.bias.dtype == torch.bfloat16
    assert (
        layer.weight.is_contiguous(memory_format=torch.channels_last)
        and not layer.weight.requires_grad
    )
