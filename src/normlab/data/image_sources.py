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
from normlab.data.image_modes import Pixels, read_pixels, to_bytes
from normlab.data.options import ImageDataConfig, ImageFolderConfig
from normlab.errors import NormLabError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test"}
_FEWEST = 3  # images of the largest class: one for each split
_READING = 2  # what a file becomes; with another number, what is cached is decoded anew
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
    classes: tuple[str, ...] = ()  # their names, where they have any


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


def _published_image(image: Any, number: int, where: str) -> Pixels:
    content, path = (image["bytes"] or b"", image["path"]) if image else (b"", None)
    return read_pixels(io.BytesIO(content), f"image {number} ({path}) of {where}")


def _folder(folder: Path, size: int | None) -> RawImages:
    classes = _class_folders(folder)
    files: list[Path] = []
    labels: list[int] = []
    for number, child in enumerate(classes):
        images = _images_in(child)
        files += images
        labels += [number] * len(images)
    counts = np.bincount(labels)
    if counts.max() < _FEWEST:
        raise NormLabError(
            f"{folder} holds only {len(files)} images, too few to split: pass at least {_FEWEST} "
            "of a class."
        )

    def decode() -> Arrays:
        pixels = [read_pixels(file, str(file), size) for file in files]
        return {"images": _stack(pixels, str(folder), ": pass data.image_size=<pixels a side>")}

    key = files_key(files, size, _READING)
    arrays = decoded("imagefolder", key, ("images",), decode)
    names = tuple(child.name for child in classes)
    return RawImages(
        folder.name, len(classes), Pool(arrays["images"], np.array(labels)), None, names
    )


def _images_in(folder: Path) -> list[Path]:
    """Every image of a class, also in folders inside; not what systems hide beside them.

    Raises:
        NormLabError: there is none, or a link that leads nowhere.
    """
    images = []
    for file in sorted(folder.rglob("*")):
        # `._7.png` of macOS and what lies in `.ipynb_checkpoints` are no images of anybody's.
        hidden = any(_is_hidden(part) for part in file.relative_to(folder).parts)
        if hidden or file.suffix.lower() not in _SUFFIXES or file.is_dir():
            continue
        if not file.exists():
            raise NormLabError(f"{file} is a link to nothing: repair or remove it.")
        images.append(file)
    if not images:
        raise NormLabError(f"the class folder {folder} holds no image: remove it or add images.")
    return images


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _class_folders(folder: Path) -> list[Path]:
    classes = []
    for child in sorted(folder.iterdir()):
        if _is_hidden(child.name):
            continue
        if child.is_symlink() and not child.exists():
            raise NormLabError(f"{child} is a link to nothing: repair or remove it.")
        if child.is_dir():
            classes.append(child)
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


def _stack(images: Sequence[Pixels], where: str, advice: str) -> NDArray[np.uint8]:
    shapes = sorted({image.shape[:2] for image in images})
    if len(shapes) > 1:
        raise NormLabError(
            f"the images of {where} have different sizes ({shapes[0][0]}x{shapes[0][1]} and "
            f"{shapes[1][0]}x{shapes[1][1]}, for example){advice}."
        )
    return np.stack(to_bytes(images))
