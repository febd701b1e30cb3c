"""Configurations, images and documents for the tests of the data."""

import io
import os
from typing import Any

import numpy as np
from PIL import Image

from normlab.data.document_sources import RawDocuments
from normlab.data.image_sources import Pool, RawImages
from normlab.data.options import (
    DocumentDataConfig,
    DocumentTask,
    ImageDataConfig,
    ImageFolderConfig,
    TextDataConfig,
    TextFileConfig,
)

REAL_DATA = os.environ.get("NORMLAB_DATA", "/nowhere")  # before a test hides it


def image_cfg(name: str = "digits", **options: Any) -> ImageDataConfig:
    kind = ImageFolderConfig if "path" in options else ImageDataConfig
    return kind(name=name, **{"batch_size": 8, "augment": False, **options})


def text_cfg(name: str = "pydoc", **options: Any) -> TextDataConfig:
    kind = TextFileConfig if "path" in options else TextDataConfig
    return kind(name=name, **{"batch_size": 4, "context": 16, **options})


def numbered(n: int = 60, size: int = 6, num_test: int | None = None) -> RawImages:
    """Images that differ everywhere, labelled with their number: what comes out of a batch can
    be told apart."""

    def pool(count: int, seed: int) -> Pool:
        pixels = np.random.default_rng(seed).integers(
            0, 256, (count, size, size, 3), dtype=np.uint8
        )
        return Pool(pixels, np.arange(count))

    return RawImages("numbered", n, pool(n, 0), None if num_test is None else pool(num_test, 1))


def document_cfg(
    name: str = "pydoc_lines", task: str = "classify", **options: Any
) -> DocumentDataConfig:
    return DocumentDataConfig(
        name=name, task=DocumentTask(task), **{"batch_size": 8, "context": 16, **options}
    )


def numbered_documents(n: int = 200, longest: int = 20) -> RawDocuments:
    """Document i has 1 to `longest` tokens; each ends in its own number, so that what comes out
    can be told apart."""
    draw = np.random.default_rng(0)
    lengths = 1 + np.arange(n) % longest
    words = [f"w{i}" for i in range(30)]
    documents = [
        [*draw.choice(words, length - 1).tolist(), f"d{i}"] for i, length in enumerate(lengths)
    ]
    return RawDocuments("numbers", 4, documents, np.arange(n) % 4)


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()
