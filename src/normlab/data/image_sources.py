"""Images as they are published, decoded to bytes: digits, CIFAR, a folder of one's own."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normlab.data.availability import folder_of, local_folder
from normlab.data.cache import Arrays, decoded, files_key
from normlab.data.hub import load_published
from normlab.data.options import ImageDataConfig, ImageFolderConfig
from normlab.errors import NormLabError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test"}
_CIFAR = {"cifar10": ("label", 10), "cifar100": ("fine_label", 100)}


@dataclass(frozen=True)
class Pool:
    """`images` uint8 (N, H, W, C), possibly memory-mapped, and `labels` (N,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class RawImages:
    """A data set before it is split; `test` is None where none is published."""

    name: str
    num_classes: int
    train: Pool
    test: Pool | None = None


def read_images(cfg: ImageDataConfig) -> RawImages:
    """The images of the data set that `cfg` names.

    Raises:
        NormLabError: a file is damaged.
    """
    if cfg.name == "digits":
        return _digits()
    if isinstance(cfg, ImageFolderConfig):
        return _folder(folder_of(cfg), cfg.image_size)
    return _cifar(cfg.name)


def _digits() -> RawImages:
    def decode() -> Arrays:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        # 0 to 16 in the file; 255 for 16 keeps the zero of the padding and uses a byte's range.
        pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)
        return {"images": pixels[..., None], "labels": bunch.target}

    # Kept because importing scikit-learn takes longer than everything else that a short run loads.
    arrays = decoded("digits", f"sklearn-{version('scikit-learn')}", ("images", "labels"), decode)
    return RawImages("digits", 10, Pool(arrays["images"], arrays["labels"]))


def _cifar(name: str) -> RawImages:
    folder = local_folder(name)
    label, num_classes = _CIFAR[name]

    def decode() -> Arrays:
        arrays: Arrays = {}
        splits = load_published(name, ("train", "test"), ("img", label), image_column="img")
        for split, rows in splits.items():
            where = f"{folder or name}, split {split}"
            images = [_published_image(image, i, where) for i, (image, _) in enumerate(rows)]
            targets = np.array([-1 if target is None else target for _, target in rows])
            if targets.min() < 0 or targets.max() >= num_classes:
                raise NormLabError(
                    f"{where} has labels outside 0 to {num_classes - 1}: pass a copy of {name}."
                )
            arrays |= {f"{split}_images": _stack(images, where, ""), f"{split}_labels": targets}
            # A JPEG file begins with these two bytes. An array, since the cache holds nothing else.
            arrays["jpeg"] = np.array(rows[0][0]["bytes"][:2] == b"\xff\xd8")
        return arrays

    key = files_key(folder.glob("**/*.parquet")) if folder else "hub"
    names = ("train_images", "train_labels", "test_images", "test_labels", "jpeg")
    arrays = decoded(name, key, names, decode)
    # The published images were never JPEGs: a copy of other pixels must not pass for them.
    shown = f"{name} (JPEG copy)" if arrays["jpeg"] else name
    train = Pool(arrays["train_images"], arrays["train_labels"])
    test = Pool(arrays["test_images"], arrays["test_labels"])
    return RawImages(shown, num_classes, train, test)


def _published_image(image: Any, number: int, where: str) -> NDArray[np.uint8]:
    content, path = (image["bytes"] or b"", image["path"]) if image else (b"", None)
    return _decode(io.BytesIO(content), f"image {number} ({path}) of {where}")


def _folder(folder: Path, size: int | None) -> RawImages:
    classes = _class_folders(folder)
    files: list[Path] = []
    labels: list[int] = []
    for number, child in enumerate(classes):
        images = sorted(file for file in child.rglob("*") if file.suffix.lower() in _SUFFIXES)
        if not images:
            raise NormLabError(f"the class folder {child} holds no image: remove it or add images.")
        files += images
        labels += [number] * len(images)
    if len(files) < 4:
        raise NormLabError(
            f"{folder} holds only {len(files)} images, too few to split: pass at least 4."
        )

    def decode() -> Arrays:
        pixels = [_decode(file, str(file), size) for file in files]
        return {"images": _stack(pixels, str(folder), ": pass data.image_size=<pixels a side>")}

    arrays = decoded("imagefolder", files_key(files, size), ("images",), decode)
    return RawImages(folder.name, len(classes), Pool(arrays["images"], np.array(labels)))


def _class_folders(folder: Path) -> list[Path]:
    children = (child for child in folder.iterdir() if not child.name.startswith("."))
    classes = sorted(filter(Path.is_dir, children))
    if len(classes) < 2:
        raise NormLabError(
            f"{folder} has {len(classes)} sub-folders: data=imagefolder takes one sub-folder of "
            "images a class, at least two."
        )
    if _SPLIT_NAMES.issuperset(child.name.lower() for child in classes):
        # Of the training images, which are the most; the other splits are made from them.
        training = [child for child in classes if child.name.lower().startswith("train")]
        chosen = (training or classes)[0]
        raise NormLabError(
            f"the sub-folders of {folder} are splits and not classes: pass data.path={chosen}."
        )
    return classes


def _decode(source: Path | io.BytesIO, where: str, size: int | None = None) -> NDArray[np.uint8]:
    """uint8 (H, W, 3); with `size`, the largest centred square, resized."""
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as image:
            pixels = image.convert("RGB")
    # PIL raises SyntaxError for a broken PNG, and its own class for an image of too many pixels.
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise NormLabError(
            f"{where} is no readable image ({type(error).__name__}): repair or remove it."
        ) from error
    if size is not None:
        pixels = ImageOps.fit(pixels, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(pixels)


def _stack(images: Sequence[NDArray[np.uint8]], where: str, advice: str) -> NDArray[np.uint8]:
    shapes = sorted({image.shape[:2] for image in images})
    if len(shapes) > 1:
        raise NormLabError(
            f"the images of {where} have different sizes ({shapes[0][0]}x{shapes[0][1]} and "
            f"{shapes[1][0]}x{shapes[1][1]}, for example){advice}."
        )
    return np.stack(images)
