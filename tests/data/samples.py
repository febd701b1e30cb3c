"""Configurations and images for the tests of the data."""

import io
import os
from typing import Any

import numpy as np
from PIL import Image

from normlab.config import ImageDataConfig, ImageFolderConfig, TextDataConfig, TextFileConfig
from normlab.data.image_sources import Pool, RawImages

REAL_DATA = os.environ.get("NORMLAB_DATA", "/nowhere")  # before a test hides it


def image_cfg(name: str = "digits", **options: Any) -> ImageDataConfig:
    kind = ImageFolderConfig if "path" in options else ImageDataConfig
    return kind(name=name, **{"batch_size": 8, "augment": False, **options})


def text_cfg(name: str = "pydoc", **options: Any) -> TextDataConfig:
    kind = TextFileConfig if "path" in options else TextDataConfig
    return kind(name=name, **{"batch_size": 4, "context": 16, **options})


def numbered(n: int = 60, size: int = 6, num_test: int | None = None) -> RawImages:
    """Images that differ everywhere, labelled with their number: what comes out of a batch can be told apart."""

    def pool(count: int, seed: int) -> Pool:
        pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
        return Pool(pixels, np.arange(count))

    return RawImages("numbered", n, pool(n, 0), None if num_test is None else pool(num_test, 1))


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()
