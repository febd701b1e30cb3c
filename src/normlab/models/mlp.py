"""A fully connected network."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from normlab.models.layers import NormFactory, activation_of, initialise


class MLP(nn.Module):
    """linear-norm-ReLU times `depth` on flattened images, then linear.

    Shape: (N, C, H, W) -> (N, num_classes); the norm sees layout "NC".
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
        features = math.prod(input_shape)
        layers: list[nn.Module] = [nn.Flatten()]
        for _ in range(depth):
            layer = norm(width, layout="NC")
            layers += [nn.Linear(features, width, bias=bias), layer, activation_of(layer)]
            features = width
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(features, num_classes)
        initialise(self, generator, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.hidden(x))
        return logits
