"""Fake quantisation of small CNNs: integers written as the floating-point numbers that they
stand for."""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from normlab.norms.batch import BatchNorm

ACTIVATION_BITS = SCALE_BITS = 8


def rounded(weight: Tensor, bits: int, per_channel: bool = False) -> Tensor:
    """`weight` (out, ...) to the nearest of 2^bits - 1 values, symmetric around 0, one step for
    all or one each."""
    # One value of 2^bits is left out, so that the grid is symmetric and 0 needs no offset.
    top = 2 ** (bits - 1) - 1
    dims = tuple(range(1, weight.ndim)) if per_channel else tuple(range(weight.ndim))
    step = (weight.abs().amax(dims, keepdim=True) / top).clamp(min=1e-12)
    return (weight / step).round() * step  # type: ignore[no-any-return]


class Grid(nn.Module):
    """Rounds to 256 values between the smallest and the largest that it saw in train mode; 0 is
    one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.low = self.high = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            # From 0 on: padding and ReLU write zeros, which must be exact.
            self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
            return x
        step = max(self.high - self.low, 1e-12) / (2**ACTIVATION_BITS - 1)
        # The integer that stands for 0.
        zero = round(-self.low / step)
        return ((x / step).round().clamp(-zero, 2**ACTIVATION_BITS - 1 - zero)) * step  # type: ignore[no-any-return]


@torch.no_grad()
def quantise(
    model: nn.Module, batches: Iterable[Tensor], bits: int, per_channel: bool
) -> nn.Module:
    """A copy of a trained CNN whose `features` are a sequence of layers, in eval mode, as integers
    would run it.

    Weights have `bits`, with a step of their own for each output channel or not; what layers pass
    on has 8 bits, its range taken from `batches` in the network before rounding. A batch norm that
    is still there is a layer of its own: its scale has 8 bits and one step, and so has what it
    reads. Shifts and biases are not rounded (they have 32 bits where it is done), and of the head
    only its weights.
    """
    model = copy.deepcopy(model).eval()
    # The first one rounds the images.
    layers: list[nn.Module] = [Grid()]
    # Folding leaves identities where norms were.
    features = [layer for layer in model.features if not isinstance(layer, nn.Identity)]  # type: ignore[union-attr]
    for layer, after in zip(features, [*features[1:], None], strict=True):
        layers.append(layer)
        if isinstance(layer, nn.ReLU) or isinstance(after, BatchNorm):
            layers.append(Grid())
    model.features = nn.Sequential(*layers)
    grids = [layer for layer in layers if isinstance(layer, Grid)]
    # Only the grids: norms in train mode would move their statistics.
    for grid in grids:
        grid.train()
    for x in batches:
        model(x)
    for grid in grids:
        grid.eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.copy_(rounded(layer.weight, bits, per_channel))
        elif isinstance(layer, BatchNorm):
            # As an integer layer y = scale x + shift: the scale is rounded, and bias takes up what
            # this would change of the shift, which is bias - scale * running_mean.
            weight, bias = layer.weight, layer.bias
            assert weight is not None and bias is not None  # as train_network builds it
            deviation = (layer.running_var + layer.eps).sqrt()
            scale = weight / deviation
            new = rounded(scale, SCALE_BITS)
            weight.copy_(new * deviation)
            bias.add_((new - scale) * layer.running_mean)
    return model


def separable(model: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Each convolution of a plain CNN but the first becomes a depthwise one, norm, ReLU and a 1x1
    one, in place.

    These are the blocks of MobileNet (Howard et al. 2017). For `train_network`, as `adapt`.
    """
    layers: list[nn.Module] = []
    for layer in model.features:  # type: ignore[union-attr]
        if not layers or not isinstance(layer, nn.Conv2d):
            layers.append(layer)
            continue
        channels, bias = layer.in_channels, layer.bias is not None
        depthwise = nn.Conv2d(
            channels,
            channels,
            3,
            layer.stride,  # type: ignore[arg-type]
            padding=1,
            groups=channels,
            bias=bias,
        )
        pointwise = nn.Conv2d(channels, layer.out_channels, 1, bias=bias)
        for conv in (depthwise, pointwise):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        layers += [
            depthwise,
            copy.deepcopy(layers[-2]),
            nn.ReLU(),
            pointwise,
        ]  # the norm over as many channels
    model.features = nn.Sequential(*layers)
