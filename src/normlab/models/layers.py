"""What the models share: the type of a norm, its activation, and initialisation."""

import math
from typing import Protocol

import torch
from torch import Tensor, nn

PAD = 0  # the token that is no word: what a short sequence is filled up with


class NormFactory(Protocol):
    """`normlab.norms.make_norm` with the kind and its options filled in."""

    def __call__(self, num_features: int, layout: str) -> nn.Module: ...


def activation_of(norm: nn.Module, other: type[nn.Module] = nn.ReLU) -> nn.Module:
    """The activation to apply after `norm`: its own if it brings one, else `other`.

    As FRN does with its thresholded unit. It is taken out of the norm, so that a residual block can
    apply it after the sum.
    """
    take = getattr(norm, "take_activation", None)
    # Not in place: a norm may have saved its output for the backward pass.
    return other() if take is None else take()


@torch.no_grad()
def initialise(model: nn.Module, generator: torch.Generator, gain: float = 1.0) -> None:
    """He-normal convolutions and hidden layers (He et al. 2015), zero biases, in module order.

    Only weights draw from `generator`: with or without biases and with any norm, the same seed
    gives the same bits. The last linear layer is drawn with variance 1 / fan_in, so that the logits
    begin near the trivial loss.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for module in layers:
        fan_in = module.weight[0].numel()
        # 2 / fan_in makes up for the half that ReLU cuts off; no ReLU follows on the last layer.
        std = math.sqrt(1 / fan_in) if module is layers[-1] else gain * math.sqrt(2 / fan_in)
        normal_(module.weight, std, generator)
        if module.bias is not None:
            module.bias.zero_()


def normal_(weight: Tensor, std: float, generator: torch.Generator) -> None:
    """Fill `weight` in place from N(0, std²)."""
    weight.normal_(0.0, std, generator=generator)
