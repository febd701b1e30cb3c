"""Images as they are published, decoded to bytes: digits, CIFAR, a folder of one's own."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from normlab.data.availability import local_folder
from normlab.data.cache import Arrays, decoded, files_key
from normlab.data.hub import load_published
from normlab.errors import NormLabError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test"}
_CIFAR = {"cifar10": ("label", 10), "cifar100": ("fine_label", 100)}


@dataclass(frozen=True)
class Pool:
    """`images` uint8 (N, H, W, C), possibly memory-mapped, and `labels` (N,)."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class RawImages:
    """A data set before it is split; `test` is None where none is published."""

    name: str
    num_classes: int
    train: Pool
    test: Pool | None = None


def read_images(cfg: Any) -> RawImages:
    """The images of the data set that `cfg` names; NormLabError where a file is damaged."""
    if cfg.name == "digits":
        return _digits()
    if cfg.name == "imagefolder":
        return _folder(Path(cfg.path).expanduser(), cfg.image_size)
    return _cifar(cfg.name)


def _digits() -> RawImages:
    def decode() -> Arrays:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        # 0 to 16 in the file; 255 for 16 keeps the zero of the padding and uses a byte's whole range
        return {
            "images": np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None],
            "labels": bunch.target,
        }

    # Kept because importing scikit-learn takes longer than everything else that a short run loads
    arrays = decoded("digits", f"sklearn-{version('scikit-learn')}", ("images", "labels"), decode)
    return RawImages("digits", 10, Pool(arrays["images"], arrays["labels"]))


def _cifar(name: str) -> RawImages:
    folder = local_folder(name)
    label, num_classes = _CIFAR[name]

    def decode() -> Arrays:
        arrays: Arrays = {}
        for split, rows in load_published(
            name, ("train", "test"), ("img", label), image_column="img"
        ).items():
            where = f"{folder or name}, split {split}"
            images = []
            for number, (image, _) in enumerate(rows):
                content, path = (image["bytes"] or b"", image["path"]) if image else (b"", None)
                images.append(_decode(io.BytesIO(content), f"image {number} ({path}) of {where}"))
            targets = np.array([-1 if target is None else target for _, target in rows])
            if targets.min() < 0 or targets.max() >= num_classes:
                raise NormLabError(
                    f"{where} has labels outside 0 to {num_classes - 1}: pass a copy of {name}."
                )
            arrays |= {f"{split}_images": _stack(images, where, ""), f"{split}_labels": targets}
            arrays["jpeg"] = np.array(rows[0][0]["bytes"][:2] == b"\xff\xd8")
        return arrays

    key = files_key(folder.glob("**/*.parquet")) if folder else "hub"
    names = ("train_images", "train_labels", "test_images", "test_labels", "jpeg")
    arrays = decoded(name, key, names, decode)
    # The published images were never JPEGs: a copy of other pixels must not pass for them.
    shown = f"{name} (JPEG copy)" if arrays["jpeg"] else name
    train, test = (
        Pool(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in ("train", "test")
    )
    return RawImages(shown, num_classes, train, test)


def _folder(folder: Path, size: int | None) -> RawImages:
    classes = sorted(
        child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")
    )
    if len(classes) < 2:
        raise NormLabError(
            f"{folder} has {len(classes)} sub-folders: data=imagefolder takes one sub-folder of images a class, at "
            f"least two."
        )
    if _SPLIT_NAMES.issuperset(child.name.lower() for child in classes):
        raise NormLabError(
            f"the sub-folders of {folder} are splits and not classes: pass data.path={folder / classes[-1].name}."
        )
    files: list[tuple[Path, int]] = []
    for number, child in enumerate(classes):
        found = sorted(file for file in child.rglob("*") if file.suffix.lower() in _SUFFIXES)
        if not found:
            raise NormLabError(f"the class folder {child} holds no image: remove it or add images.")
        files += [(file, number) for file in found]
    if len(files) < 4:
        raise NormLabError(
            f"{folder} holds only {len(files)} images, too few to split: pass at least 4."
        )

    def decode() -> Arrays:
        images = [_decode(file, str(file), size) for file, _ in files]
        return {"images": _stack(images, str(folder), ": pass data.image_size=<pixels a side>")}

    images = decoded(
        "imagefolder", files_key((file for file, _ in files), size), ("images",), decode
    )["images"]
    return RawImages(
        folder.name, len(classes), Pool(images, np.array([label for _, label in files]))
    )


def _decode(source: Path | io.BytesIO, where: str, size: int | None = None) -> np.ndarray:
    """uint8 (H, W, 3); with `size`, the largest centred square, resized."""
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as image:
            pixels = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise NormLabError(
            f"{where} is no readable image ({type(error).__name__}): repair or remove it."
        ) from error
    if size is not None:
        pixels = ImageOps.fit(pixels, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(pixels)


def _stack(images: Iterable[np.ndarray], where: str, advice: str) -> np.ndarray:
    images = list(images)
    shapes = sorted({image.shape[:2] for image in images})
    if len(shapes) > 1:
        raise NormLabError(
            f"the images of {where} have different sizes ({shapes[0][0]}x{shapes[0][1]} and "
            f"{shapes[1][0]}x{shapes[1][1]}, for example){advice}."
        )
    return np.stack(images)
