"""A stack of 3x3 convolutions without skips."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from normlab.models.layers import NormFactory, activation_of, initialise


class PlainCNN(nn.Module):
    """conv-norm-ReLU times `depth`, global average pooling, linear.

    Width doubles and resolution halves at one third and at two thirds of the depth. Without skips
    the norm alone carries signal and gradient through, so this is the net in which norms matter
    most.

    Args:
        norm: called as `norm(channels, layout="NCHW")` after every convolution.
        bias: biases in the convolutions; off beside a norm that has a shift of its own.
        depth: number of convolutions, at least 1.
        width: channels of the first third.

    Shape: (N, C, H, W) -> (N, num_classes).
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
        channels = input_shape[0]
        layers: list[nn.Module] = []
        for index in range(depth):
            stage = 3 * index // depth if depth > 2 else 0
            stride = 2 if depth > 2 and index and stage > 3 * (index - 1) // depth else 1
            out = width << stage
            layers.append(nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=bias))
            layer = norm(out, layout="NCHW")
            activation = activation_of(layer)
            layers += [layer, activation]
            channels = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, num_classes)
        initialise(self, generator, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x).mean(dim=(2, 3)))
        return logits
