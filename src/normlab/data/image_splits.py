"""The images of each split as byte tensors: chosen, resized, restyled, and their fingerprint."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from normlab.data.image_sources import RawImages
from normlab.data.options import ImageDataConfig, ImageFolderConfig
from normlab.data.splits import first, split_indices, stratified_indices
from normlab.data.styles import restyle
from normlab.errors import NormLabError

_STATISTICS_IMAGES = 5000


@dataclass(frozen=True)
class ImageSplits:
    """`pixels` uint8 (n, H, W, C) and `labels` int64 (n,) of the splits "train", "val" and "test".

    `sample`, uint8 (m, H, W, C), is what normalization is worked out from: the first 5,000 images
    of the training split or all of them, whatever the subset, without styles.
    """

    pixels: dict[str, Tensor]
    labels: dict[str, Tensor]
    sample: Tensor

    def fingerprint(self, num_classes: int, *options: object) -> str:
        """12 hexadecimal digits that change with any value, and with `options`."""
        digest = hashlib.sha256(repr((num_classes, options)).encode())
        for split, images in self.pixels.items():
            # With the shape, for the bytes alone do not say where a split or a row ends.
            digest.update(f"{split}{tuple(images.shape)}".encode())
            digest.update(images.contiguous().numpy().data)
            digest.update(self.labels[split].numpy().data)
        digest.update(self.sample.contiguous().numpy().data)
        return digest.hexdigest()[:12]


def split_images(cfg: ImageDataConfig, raw: RawImages) -> ImageSplits:
    """The images that `cfg` asks for, on the CPU.

    Raises:
        NormLabError: it asks for more than there are.
    """
    indices = _split(cfg, raw)
    # Every refusal before any work.
    counts = {split: _count(cfg, raw.name, split, index) for split, index in indices.items()}
    pixels, labels = {}, {}
    for split, index in indices.items():
        pool = raw.test if split == "test" and raw.test is not None else raw.train
        chosen = index[: counts[split]]
        # Indexed by an array, which copies: no tensor shares memory with a file that is mapped.
        pixels[split] = _resized(pool.images[chosen], cfg.image_size)
        labels[split] = torch.from_numpy(pool.labels[chosen].astype(np.int64))
    sample = pixels["train"][:_STATISTICS_IMAGES]
    whole = indices["train"][:_STATISTICS_IMAGES]
    if len(sample) < len(whole):  # a subset must not change what an image looks like
        sample = _resized(raw.train.images[whole], cfg.image_size)
    if cfg.styles:
        # After the sample was taken: styles must not move the mean and the deviation.
        for split, images in pixels.items():
            pixels[split] = torch.from_numpy(restyle(images.numpy(), cfg.styles))
    return ImageSplits(pixels, labels, sample)


def check_classes(cfg: ImageDataConfig, raw: RawImages) -> None:
    """Return if a subset leaves every class of the data an image to train on.

    Raises:
        NormLabError: it does not.
    """
    trained_on = raw.train.labels[_split(cfg, raw)["train"][: cfg.subset]]
    missing = sorted(set(raw.train.labels.tolist()) - set(trained_on.tolist()))
    if cfg.subset is not None and missing:
        name = raw.classes[missing[0]] if raw.classes else missing[0]
        others = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise NormLabError(
            f"data.subset={cfg.subset} leaves no training image of class {name!r}{others} of "
            f"{raw.name}: pass a larger one."
        )


def _split(cfg: ImageDataConfig, raw: RawImages) -> dict[str, NDArray[np.int64]]:
    # The published sets keep the splits that their records have: their classes are in equal parts.
    if isinstance(cfg, ImageFolderConfig):
        return stratified_indices(raw.train.labels)
    return split_indices(len(raw.train.labels), None if raw.test is None else len(raw.test.labels))


def _count(cfg: ImageDataConfig, name: str, split: str, index: NDArray[np.int64]) -> int:
    option = "subset" if split == "train" else "eval_subset"
    what = f"images of the {split} split of {name}"
    return first(getattr(cfg, option), len(index), f"data.{option}", what)


def _resized(images: NDArray[np.uint8], size: int | None) -> Tensor:
    """uint8 (N, H, W, C) to (N, size, size, C): bilinear with antialiasing, as PIL does it."""
    pixels = torch.from_numpy(images)
    if size is None or pixels.shape[1:3] == (size, size):
        return pixels
    channels_first = pixels.permute(0, 3, 1, 2)
    small = F.interpolate(channels_first, (size, size), mode="bilinear", antialias=True)
    return small.permute(0, 2, 3, 1).contiguous()
