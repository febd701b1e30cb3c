"""A small network for CIFAR that is trained in minutes on one core of a CPU."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.models.layers import NormFactory, activation_of, initialise

STEM = 24  # channels of the first convolution
SMALLEST = 9  # pixels a side: less leaves nothing after three poolings


class SpeedNet(nn.Module):
    """A 2x2 convolution, three stages of two 3x3 convolutions, the largest value of each map.

    In the manner of the networks that are trained on CIFAR against the clock (Page 2018; Jordan
    2024, airbench): a stage is conv, 2x2 max pooling, norm, GELU, conv, norm, GELU, so that all but
    one convolution see small maps. The stem has no norm. Images of 32x32 leave 3x3 maps, of which
    the largest value of each channel goes to the head.

    Args:
        norm: called as `norm(channels, layout="NCHW")` after every convolution of the stages.
        bias: biases in these; off beside a norm that has a shift of its own.
        depth: number of convolutions of a stage, at least 1; only the first is followed by pooling.
        width: channels of the first stage; the others have four times as many.

    Shape: (N, C, H, W) of at least 9x9 -> (N, num_classes).

    Raises:
        NormLabError: the images are smaller.
    """

    modalities: ClassVar = ("image",)

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        num_classes: int,
        norm: NormFactory,
        bias: bool,
        generator: torch.Generator,
        *,
        depth: int,
        width: int,
        init_gain: float = 1.0,
    ) -> None:
        super().__init__()
        _, height, width_px = input_shape
        if min(height, width_px) < SMALLEST:
            raise NormLabError(
                f"model=speednet needs images of {SMALLEST}x{SMALLEST} or larger, not "
                f"{height}x{width_px}: give data.image_size=16, say, or model=plaincnn."
            )
        layers: list[nn.Module] = [nn.Conv2d(input_shape[0], STEM, 2), nn.GELU()]
        channels = STEM
        for out in (width, 4 * width, 4 * width):
            for index in range(depth):
                layers.append(nn.Conv2d(channels, out, 3, padding=1, bias=bias))
                if index == 0:
                    layers.append(nn.MaxPool2d(2))
                layer = norm(out, layout="NCHW")
                layers += [layer, activation_of(layer, nn.GELU)]
                channels = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, num_classes)
        initialise(self, generator, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x).amax(dim=(2, 3)))
        return logits
