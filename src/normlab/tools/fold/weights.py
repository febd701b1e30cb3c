"""The weights of a layer that takes over a scale and a shift per channel."""

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize

from normlab.tools.fold.batch_norms import Affine

Weighted = nn.Linear | _ConvNd  # what a norm folds into


@torch.no_grad()
def scale_outputs(layer: Weighted, affine: Affine) -> None:
    """W x + b becomes scale (W x + b) + shift."""
    weight = _weight(layer)
    # (out, in / groups, *kernel); a linear layer has no kernel.
    after = [1] * (weight.ndim - 2)
    if isinstance(layer, _ConvTransposeNd):  # (in, out / groups, ...), groups along `in`
        grouped = torch.unflatten(weight, 0, (layer.groups, -1))
        new = (grouped * affine.scale.view(layer.groups, 1, -1, *after)).flatten(0, 1)
    else:
        new = weight * affine.scale.view(-1, 1, *after)
    bias = affine.scale * _bias(layer)
    _set(layer, new, bias + affine.shift)


@torch.no_grad()
def scale_inputs(layer: Weighted, affine: Affine) -> None:
    """W x + b becomes W (scale x + shift) + b."""
    weight = _weight(layer)
    groups = layer.groups if isinstance(layer, _ConvNd) else 1
    grouped = torch.unflatten(weight, 0, (groups, -1))  # (groups, out / groups, in / groups, ...)
    along = (groups, 1, -1, *[1] * (weight.ndim - 2))
    # Summed over input channels and the kernel: (groups, out / groups) -> (out,). It is exact only
    # where every output reads a whole kernel, so not beside padding with zeros.
    shift = (grouped * affine.shift.view(along)).flatten(2).sum(2).flatten()
    _set(layer, (grouped * affine.scale.view(along)).flatten(0, 1), _bias(layer) + shift)


def _weight(layer: Weighted) -> Tensor:
    """The layer's weight in float64 on the CPU; a reparametrised one becomes a plain one first."""
    if parametrize.is_parametrized(layer):
        # Not by remove_parametrizations, which deletes `weight` from a class that the model given
        # has, too.
        tensors = {name: getattr(layer, name) for name in ("weight", "bias")}
        del layer._modules["parametrizations"]
        layer.__class__ = parametrize.type_before_parametrizations(layer)
        for name, tensor in tensors.items():
            layer.register_parameter(
                name, None if tensor is None else nn.Parameter(tensor.detach())
            )
    weight: Tensor = layer.weight.detach().cpu().double()
    return weight


def _bias(layer: Weighted) -> Tensor:
    """The layer's bias in float64 on the CPU, 0 where it has none."""
    if layer.bias is None:
        return torch.zeros((), dtype=torch.float64)
    bias: Tensor = layer.bias.detach().cpu().double()
    return bias


def _set(layer: Weighted, weight: Tensor, bias: Tensor) -> None:
    old = layer.weight
    # `empty_like` keeps device, dtype and memory format of the old one.
    layer.weight = nn.Parameter(torch.empty_like(old).copy_(weight), old.requires_grad)
    layer.bias = nn.Parameter(bias.to(old.device, old.dtype), old.requires_grad)
