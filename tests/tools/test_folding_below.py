"""Below what torch.fx cannot trace, modules are folded that are called whole; no others are."""

import pytest
import torch
from fold_cases import conv, folded_like, inputs, used
from torch import nn

import normlab
from normlab.models import torchvision_operators  # noqa: F401  (before torchvision)
from normlab.tools.tiny_transformers import build_tiny
from normlab.tools.zoo import build_named


class Checked(nn.Module):
    """Asks for four channels, as the vision models of transformers do."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x, also=None):
        if x.shape[1] != 4:
            raise ValueError("four channels")
        return self.body(x) if also is None else self.body(x) + also


def block():
    return nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU())


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = conv(), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn(self.conv(x))


def helper(pair, x):
    return pair.bn(pair.conv(x)) + pair.conv(x)


def loop(module, x):
    outputs = []
    for layer in module.body:
        x = layer(x)
        outputs.append(x)
    return sum(outputs)


class Counting(nn.Module):
    """torch.fx cannot trace it: it counts with a tensor's size."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        for _ in range(x.dim() - 3):
            x = self.extra(x)
        return x

    def extra(self, x):
        return self.body(x)


def test_a_checked_input_closes_nothing():
    folding = folded_like(used(Checked(block())), inputs(2, 4, 5, 5), ["body.1"], {})
    assert not folding.notes
    y = folding.model(inputs(2, 4, 5, 5), also=1)
    assert y.shape == (2, 4, 5, 5)


def test_below_a_loop_modules_that_are_called_whole_are_folded():
    model = used(nn.Sequential(Counting(block()), Counting(Pair())))
    folding = folded_like(model, inputs(2, 4, 5, 5), ["0.body.1", "1.body.bn"], {})
    assert not folding.notes


class Looping(Counting):
    def extra(self, x):
        return loop(self, x)


class Sharing(Counting):
    """One block calls the norm of another."""

    def __init__(self):
        super().__init__(Pair())
        self.other = Pair()
        self.other.bn = self.body.bn

    def extra(self, x):
        return self.body(x) + self.other(x)


class ReachingIn(Counting):
    def extra(self, x):
        return self.body(x) + self.body.conv(x)


class Reading(Counting):
    def extra(self, x):
        return self.body(x) * self.body.conv.weight.sum()


class Helped(Counting):
    def extra(self, x):
        return self.body(x) + helper(self.body, x)


class Named(Counting):
    def extra(self, x):
        part = getattr(self, "body")  # noqa: B009
        return part(x) + next(part.children())(x)


class Listing(Counting):
    def extra(self, x):
        return self.body(x) + list(self.modules())[2](x)


class Stated(Counting):
    def extra(self, x):
        return self.body(x) * self.state_dict()["body.conv.weight"].sum()


@pytest.mark.parametrize(
    ("model", "norm", "reason"),
    [
        (Looping(block()), "body.1", "calls body."),
        (Sharing(), "body.bn", "shared: it is called in 2 places"),
        (ReachingIn(Pair()), "body.bn", "calls body.conv, too"),
        (Reading(Pair()), "body.bn", "tensors of body.conv are used outside it"),
        (Helped(Pair()), "body.bn", "calls body."),
        (Named(Pair()), "body.bn", "calls body."),
        (Listing(Pair()), "body.bn", "uses more of it"),
        (Stated(Pair()), "body.bn", "uses more of it"),
    ],
)
def test_the_source_says_what_is_reached(model, norm, reason):
    folded_like(used(model), inputs(2, 4, 4, 4), [], {norm: reason})


class Optional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = conv(), nn.BatchNorm2d(4)

    def forward(self, x, mask=None):
        y = self.conv(x)
        return self.bn(y) + y if mask is None else self.bn(y) * mask


def test_an_optional_argument_has_two_ways():
    folded_like(used(Optional()), inputs(2, 4, 4, 4), [], {"bn": "used by add"})


class Noting(Pair):
    def forward(self, x):
        self.noted = self.conv(x)
        return self.bn(self.noted)


def test_a_tensor_that_is_kept_stays_what_it_was():
    folded_like(used(Noting()), inputs(2, 4, 4, 4), [], {"bn": "keeps tensors"})


class Doubled(nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(input, weight, bias).relu()


def test_a_convolution_with_other_code_takes_nothing():
    model = used(nn.Sequential(Doubled(4, 4, 1), nn.BatchNorm2d(4)))
    folded_like(model, inputs(2, 4, 4, 4), [], {"1": "comes from"})


def test_hooks_at_the_border_that_a_fold_crosses_are_seen():
    inner = nn.Sequential(conv())
    inner.register_forward_hook(lambda *_: None)
    model = used(nn.Sequential(inner, nn.BatchNorm2d(4)))
    folded_like(model, inputs(2, 4, 4, 4), [], {"1": "0 has hooks"})


class Sized(nn.Module):
    """As attention over maps: it asks for the size of what the norm gave."""

    def __init__(self):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = self.bn(x)
        return self.conv(y).reshape(y.shape[0], -1) + x.flatten(1)


def test_who_reads_the_size_alone_does_not_stand_in_the_way():
    folded_like(used(Sized()), inputs(2, 4, 5, 5), ["bn"], {})


class Rows(nn.Module):
    """As in LeViT: a batch norm over the rows of a sequence."""

    def __init__(self):
        super().__init__()
        self.linear, self.bn = nn.Linear(4, 6), nn.BatchNorm1d(6)

    def forward(self, x):
        x = self.linear(x)
        return self.bn(x.flatten(0, 1)).reshape_as(x)


def test_rows_of_sequences_fold_into_a_linear_layer():
    folded_like(used(Rows()), inputs(2, 5, 4), ["bn"], {})


def test_tensors_that_a_forward_pass_has_kept_are_copied():
    """As LeViT keeps the biases of its attention in eval mode, with their history."""
    model = used(Pair())
    model.kept = [model.conv.weight * 2]
    folding = normlab.fold(model)
    assert len(folding.folded) == 1 and not folding.model.kept[0].requires_grad


TINY = {
    "resnet": {},
    "mobilenet_v1": {"depth_multiplier": 0.25},
}


@pytest.mark.parametrize("name", TINY)
@torch.no_grad()
def test_networks_of_transformers(name):
    pytest.importorskip("transformers")
    model = used(build_tiny(name, **TINY[name]))
    folding = normlab.fold(model)
    assert folding.folded and not folding.kept, str(folding)
    x = inputs(1, 3, 48, 48)
    y, target = folding.model(x)[0], model(x)[0]
    assert (y - target).abs().max() <= 1e-10 * target.abs().max()


@torch.no_grad()
def test_the_backbone_and_the_heads_of_a_detector():
    model = used(build_named("torchvision:ssdlite320_mobilenet_v3_large"))
    folding = normlab.fold(model)
    assert (len(folding.folded), len(folding.kept)) == (70, 0), str(folding)
    x = inputs(1, 3, 320, 320)
    features, folded = model.backbone(x), folding.model.backbone(x)
    head, target = folding.model.head(list(folded.values())), model.head(list(features.values()))
    for key, value in target.items():
        assert (head[key] - value).abs().max() <= 1e-10 * value.abs().max()
