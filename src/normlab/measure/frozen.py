"""Networks of which only a part is trained: norms, head, or some weights of each channel."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from normlab.training.optim import parameters_by_role

Adapt = Callable[[nn.Module, tuple[int, ...]], object]


def norms_only(model: nn.Module, input_shape: tuple[int, ...] = ()) -> None:
    """Freeze all that belongs to no norm: gains and shifts alone are trained (Frankle et al.)."""
    keep = parameters_by_role(model)["norm"]
    _freeze_all_but(model, keep)


def head_only(model: nn.Module, input_shape: tuple[int, ...] = ()) -> None:
    """Freeze all but the last linear layer, which every image model has as `head`."""
    head = model.get_submodule("head")
    _freeze_all_but(model, list(head.parameters()))


def some_weights(seed: int, per_channel: int = 2) -> Adapt:
    """Freeze all but `per_channel` weights of each output channel of every convolution.

    They are drawn by `seed`: as many as a norm has gains and shifts. The others get no gradient;
    weight decay would move them, and is refused by nobody here: turn it off.
    """

    def adapt(model: nn.Module, input_shape: tuple[int, ...] = ()) -> None:
        generator = torch.Generator().manual_seed(seed)
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
        _freeze_all_but(model, [layer.weight for layer in layers])
        for layer in layers:
            chosen = torch.rand(len(layer.weight), layer.weight[0].numel(), generator=generator)
            ranks = chosen.argsort(dim=1).argsort(dim=1).view_as(layer.weight)
            layer.weight.register_hook(_masked((ranks < per_channel).float()))

    return adapt


def _masked(mask: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * mask


def _freeze_all_but(model: nn.Module, keep: Sequence[Tensor]) -> None:
    kept = {id(parameter) for parameter in keep}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in kept)
