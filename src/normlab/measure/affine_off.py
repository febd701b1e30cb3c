"""A trained BatchNorm network without its gains and shifts, or without its norms."""

import copy

import torch
from torch import Tensor, nn

from normlab.training.evaluations.reevaluation import large_batches
from normlab.training.evaluations.shift import predictions, whole_split
from normlab.training.running_statistics import batch_norms, re_estimate
from normlab.training.setup import Setup
from normlab.training.step import evaluate

LARGE = 500  # samples of a batch that statistics are estimated anew from
IMAGES = 64  # whose gradients are compared


@torch.no_grad()
def without_affine(
    model: nn.Module, *, gain: bool = True, shift: bool = True, standardise: bool = True
) -> nn.Module:
    """A copy of `model` in eval mode with parts of its batch norms left out.

    gain: False for gains of 1. shift: False for shifts of 0. standardise: False for running means
    of 0 and variances of 1, so that of the norm no more is left than gain and shift.
    """
    model = copy.deepcopy(model).eval()
    for layer in batch_norms(model):
        if not gain:
            layer.weight.fill_(1)
        if not shift:
            layer.bias.zero_()
        if not standardise:
            layer.running_mean.zero_()
            layer.running_var.fill_(1 - layer.eps)  # the layer adds eps to it
    return model


def saliency(model: nn.Module, x: Tensor, classes: Tensor) -> Tensor:
    """(N, C x H x W): the gradients of the outputs of `classes` (N,) for images x (N, C, H, W)."""
    x = x.clone().requires_grad_(True)
    outputs = model(x).gather(1, classes[:, None]).sum()
    return torch.autograd.grad(outputs, x)[0].flatten(1)


def accuracies_without(setup: Setup) -> dict[str, float]:
    """Test accuracy of a trained network as it is and with parts of its norms left out.

    `whole`; `no_affine`, `no_gain`, `no_shift`; `no_norm`, with neither affine nor statistics;
    `re_estimated`, without affine and with statistics that are estimated anew under that: each with
    `_accuracy` behind it. `same_class`: share of test images that keep their class without affine.
    `saliency_cosine`: mean cosine of the gradients of the class that the whole network gives, whole
    and without affine.
    """
    whole = copy.deepcopy(setup.model).eval()
    networks = {
        "whole": whole,
        "no_affine": without_affine(whole, gain=False, shift=False),
        "no_gain": without_affine(whole, gain=False),
        "no_shift": without_affine(whole, shift=False),
        "no_norm": without_affine(whole, gain=False, shift=False, standardise=False),
        "re_estimated": without_affine(whole, gain=False, shift=False),
    }
    re_estimate(networks["re_estimated"], large_batches(setup.data, LARGE))
    metrics = {
        f"{name}_accuracy": evaluate(network, setup.data.eval_batches("test"))[1]
        for name, network in networks.items()
    }
    x, _ = whole_split(setup.data, "test")
    classes = predictions(whole, x).clone()  # of which gradients are asked for
    same = predictions(networks["no_affine"], x) == classes
    metrics["same_class"] = float(same.double().mean())
    a, b = (saliency(networks[name], x[:IMAGES], classes[:IMAGES]).double()
            for name in ("whole", "no_affine"))  # fmt: skip
    metrics["saliency_cosine"] = float(nn.functional.cosine_similarity(a, b).mean())
    return metrics
