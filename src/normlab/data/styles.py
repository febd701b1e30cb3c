"""Styles: tone curves and colours by number, the same on every machine and in every run."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def tables(styles: Sequence[int], channels: int) -> NDArray[np.uint8]:
    """uint8 (styles, channels, 256): which value each of the 256 values of a channel becomes.

    v -> gain * v ** gamma + offset on [0, 1], gamma between 1/2 and 2 for the whole image, gain
    between 0.3 and 1 and the offset within what the gain leaves per channel, so that nothing is
    clipped. RandomState's stream is frozen.
    """
    values = np.linspace(0, 1, 256)
    rows = []
    for number in styles:
        # Of its own for each style: a style does not depend on which others are asked for.
        draw = np.random.RandomState(number)
        gamma = 2 ** draw.uniform(-1, 1)
        gain = draw.uniform(0.3, 1, (channels, 1))
        offset = draw.uniform(0, 1, (channels, 1)) * (1 - gain)
        rows.append(np.rint(255 * (gain * values**gamma + offset)).astype(np.uint8))
    return np.stack(rows)


def restyle(images: NDArray[np.uint8], styles: Sequence[int]) -> NDArray[np.uint8]:
    """uint8 (N, H, W, C) with image i in style `styles[i % len(styles)]`."""
    n, _, _, channels = images.shape
    which = np.arange(n)[:, None, None, None] % len(styles)
    return tables(styles, channels)[which, np.arange(channels), images]
