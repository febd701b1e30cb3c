"""Eight corruptions of images in three severities, made on the fly.

Kinds as in Hendrycks & Dietterich (2019), as far as 16x16 pixels show them; the strengths are ours.
All work on normalised images, one unit being the standard deviation of the training pixels, and
clip to the range of the images.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SEVERITIES = (1, 2, 3)
Draw = Callable[[tuple[int, ...]], Tensor]  # standard normal numbers of a shape


def brightness(x: Tensor, level: float, draw: Draw) -> Tensor:
    return x + level


def contrast(x: Tensor, level: float, draw: Draw) -> Tensor:
    return x.mean((1, 2, 3), keepdim=True) * (1 - level) + level * x


def colour(x: Tensor, level: float, draw: Draw) -> Tensor:
    """A cast: the first channel up, the last one down."""
    return x + level * torch.linspace(1, -1, x.shape[1]).to(x)[:, None, None]


def fog(x: Tensor, level: float, draw: Draw) -> Tensor:
    """Blend with a bright field that varies slowly over each image."""
    field = F.interpolate(draw((len(x), 1, 3, 3)), x.shape[2:], mode="bilinear", align_corners=True)
    return (1 - level) * x + level * (1.5 + 0.5 * field)


def noise(x: Tensor, level: float, draw: Draw) -> Tensor:
    return x + level * draw(tuple(x.shape))


def impulses(x: Tensor, level: float, draw: Draw) -> Tensor:
    """A share `level` of the pixels becomes black or white: far outside, and clipped afterwards."""
    where = draw((len(x), 1, *x.shape[2:]))
    cut = float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - level / 2)))
    return x.masked_fill(where > cut, 1e3).masked_fill(where < -cut, -1e3)


def blur(x: Tensor, level: float, draw: Draw) -> Tensor:
    """Gaussian of standard deviation `level` pixels, borders replicated."""
    # Two standard deviations to each side: what lies further out weighs under 5 %.
    reach = int(2 * level + 1)
    steps = torch.arange(-reach, reach + 1).to(x)
    kernel = torch.exp(-0.5 * (steps / level) ** 2)
    # A Gaussian is separable: a row, then (below) the same as a column, each channel by itself.
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), kernel, groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), kernel.mT, groups=x.shape[1])


def pixelate(x: Tensor, level: float, draw: Draw) -> Tensor:
    """Down to a share `level` of the resolution, and back."""
    small = F.interpolate(x, [max(1, round(level * side)) for side in x.shape[2:]], mode="area")
    return F.interpolate(small, x.shape[2:], mode="nearest")


Corruption = Callable[[Tensor, float, Draw], Tensor]  # of images (N, C, H, W), at a level

# The function, and its level at each severity.
CORRUPTIONS: dict[str, tuple[Corruption, tuple[float, float, float]]] = {
    "brightness": (brightness, (0.5, 1.0, 1.5)),
    "contrast": (contrast, (0.6, 0.4, 0.2)),
    "colour": (colour, (0.3, 0.7, 1.2)),
    "fog": (fog, (0.3, 0.5, 0.7)),
    "noise": (noise, (0.3, 0.6, 1.0)),
    "impulses": (impulses, (0.03, 0.08, 0.15)),
    "blur": (blur, (0.6, 1.0, 1.5)),
    "pixelate": (pixelate, (0.5, 0.375, 0.25)),
}


def corrupt(x: Tensor, name: str, severity: int) -> Tensor:
    """(N, C, H, W) under a corruption, `severity` 1 to 3 (0: as it is).

    The same random numbers are drawn every time.
    """
    if severity == 0:
        return x
    function, levels = CORRUPTIONS[name]
    # Ten apart, so that no two (corruption, severity) share their numbers.
    generator = torch.Generator().manual_seed(10 * list(CORRUPTIONS).index(name) + severity)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator).to(x)

    # By channel, over the whole split: black and white as these images have them.
    low, high = x.amin((0, 2, 3), keepdim=True), x.amax((0, 2, 3), keepdim=True)
    return function(x, levels[severity - 1], draw).clamp(low, high)
