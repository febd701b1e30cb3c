"""Image files of any mode as bytes: what a mode holds is read right, or refused in one sentence.

| mode of PIL                    | becomes                                                   |
| ------------------------------ | --------------------------------------------------------- |
| 1, L, P, RGB, CMYK, YCbCr, ... | RGB, as PIL converts it                                   |
| RGBA, LA, PA, transparent P, L | RGB over white, as a page shows it                        |
| I;16, and I from 0 to 65535    | scaled by the fewest bits that hold every such image      |
| F from 0 to 1                  | times 255                                                 |
| other I and F                  | refused, and every mode that PIL cannot convert           |

Of several frames the first is read. A photograph is turned as its EXIF orientation says.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normlab.errors import NormLabError

# uint8 (H, W, 3), or float32 (H, W) of whole numbers up to 65535
Pixels = NDArray[np.uint8] | NDArray[np.float32]

_BRIGHTEST = 2**16 - 1
_ORIENTATION = 0x0112  # in EXIF; 1 is upright


def read_pixels(source: Path | io.BytesIO, where: str, size: int | None = None) -> Pixels:
    """The image in `source`; with `size`, the largest centred square, resized.

    Raises:
        NormLabError: it cannot be read, or holds no values that a byte can stand for.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as opened:
            image = _converted(_upright(opened), where)
    except NormLabError:  # it is a ValueError, too
        raise
    # PIL raises SyntaxError for a broken PNG, and its own class for an image of too many pixels.
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise NormLabError(
            f"{where} is no readable image ({type(error).__name__}): repair or remove it."
        ) from error
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def to_bytes(images: Sequence[Pixels]) -> list[NDArray[np.uint8]]:
    """Every image as uint8 (H, W, 3); those of more than 8 bits on one scale for all of them.

    One scale, so that a dark image stays darker than a bright one; the fewest bits, for of the 4096
    grey values of a 12-bit image 16 are left where it is taken for one of 16 bits.
    """
    bits = 8
    for image in images:
        if image.dtype != np.uint8:
            bits = max(bits, int(np.ceil(image.max())).bit_length())
    return [_narrow(image, 2**bits - 1) for image in images]


def _narrow(image: Pixels, highest: int) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    scaled = np.rint(image * (255 / highest)).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=2)


def _upright(image: Any) -> Any:
    from PIL import ImageOps

    image.load()
    try:
        # Not without need: it copies.
        return (
            ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image
        )
    except Exception:  # whatever damaged EXIF leads to: it then says nothing
        return image


def _converted(image: Any, where: str) -> Any:
    """The image in mode RGB, or in mode F where it has more than 8 bits."""
    from PIL import Image

    if image.mode == "F":
        return _of_shares(image, where)
    if image.mode.startswith("I"):
        return _of_many_bits(image, where)
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        # What lies under a transparent pixel is anything: most often black, as the drawing on it.
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    try:
        return image.convert("RGB")
    except ValueError:
        raise NormLabError(
            f"{where} is of mode {image.mode}, which has no one reading as RGB: store it as RGB."
        ) from None


def _of_many_bits(image: Any, where: str) -> Any:
    """Whole numbers of 16 or 32 bits. Not by `convert("RGB")`, which cuts off all above 255."""
    wide = image.convert("I")
    low, high = wide.getextrema()
    if low < 0 or high > _BRIGHTEST:
        raise NormLabError(
            f"{where} has values from {low} to {high}: store it with values from 0 to {_BRIGHTEST}."
        )
    return wide.convert("F")


def _of_shares(image: Any, where: str) -> Any:
    from PIL import Image

    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 1:  # NaN is in no range
        raise NormLabError(
            f"{where} has fractions from {low:g} to {high:g}: store it with values from 0 to 1, or "
            f"as whole numbers from 0 to {_BRIGHTEST}."
        )
    return Image.fromarray(np.rint(values * 255).astype(np.uint8)).convert("RGB")
