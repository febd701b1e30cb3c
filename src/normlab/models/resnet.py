"""The CIFAR ResNet of He et al. 2016 (Deep Residual Learning, section 4.2)."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normlab.errors import NormLabError
from normlab.models.layers import NormFactory, activation_of, initialise


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut without parameters, which is option A of the paper.

    It subsamples, and has zeros for the new channels.
    Shape: (N, in_channels, H, W) -> (N, channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, channels: int, stride: int, norm: NormFactory, bias: bool
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=bias)
        self.norm1 = norm(channels, layout="NCHW")
        self.activation1 = activation_of(self.norm1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm2 = norm(channels, layout="NCHW")
        self.activation2 = activation_of(self.norm2)
        self.stride = stride
        self.new_channels = channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        branch = self.activation1(self.norm1(self.conv1(x)))
        branch = self.norm2(self.conv2(branch))
        if self.stride > 1 or self.new_channels:
            # Pairs from the last axis: nothing for W and H, zeros behind the old channels.
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))
        y: Tensor = self.activation2(branch + x)
        return y


class ResNet(nn.Module):
    """Three stages of n blocks with `width`, 2 `width` and 4 `width` channels; depth = 6n + 2.

    Shape: (N, C, H, W) -> (N, num_classes).

    Raises:
        NormLabError: depth is not 6n + 2.
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
        if depth < 8 or (depth - 2) % 6:
            raise NormLabError(
                f"model.depth={depth}: a CIFAR ResNet has 6n + 2 layers: 8, 14, 20, 26, 32 and "
                "so on."
            )
        self.conv = nn.Conv2d(input_shape[0], width, 3, padding=1, bias=bias)
        self.norm = norm(width, layout="NCHW")
        self.activation = activation_of(self.norm)
        blocks = []
        channels = width
        for stage in range(3):
            for index in range((depth - 2) // 6):
                # The first stage keeps the resolution of the image, as the paper's does.
                stride = 2 if stage and index == 0 else 1
                blocks.append(BasicBlock(channels, width << stage, stride, norm, bias))
                channels = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, num_classes)
        initialise(self, generator, init_gain)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm(self.conv(x)))
        logits: Tensor = self.head(self.blocks(x).mean(dim=(2, 3)))
        return logits
