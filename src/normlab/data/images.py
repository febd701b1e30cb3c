"""Image data sets as byte tensors on the device, with their batches."""

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from normlab.data.augment import Crops
from normlab.data.image_sources import RawImages
from normlab.data.sampling import epoch_generator, grouped_order, local_part
from normlab.data.splits import first, split_indices
from normlab.data.styles import restyle
from normlab.errors import NormLabError

_STATISTICS_IMAGES = 5000
_BLOCK_BYTES = 2**19


class ImageData:
    """An image data set in memory: the interface that `normlab.data.load_data` documents.

    Pixels are normalised with the per-channel mean and standard deviation of the first 5,000 images of the training
    split (all of them where there are fewer), whatever the subset, so that a subset changes which images are seen and
    not what they look like; more images than that move neither by one per cent. Styles come after that: they do not
    move the mean and the standard deviation.

    Raises NormLabError for a subset, batch, group, padding or size that does not fit the images.
    """

    modality = "image"

    def __init__(
        self,
        cfg: Any,
        raw: RawImages,
        seed: int,
        device: str | torch.device = "cpu",
        rank: int = 0,
        world_size: int = 1,
        channels_last: bool = False,
    ) -> None:
        self.name, self.num_outputs = raw.name, raw.num_classes
        self.trivial_loss = math.log(raw.num_classes)
        self._seed, self._device, self._channels_last = seed, device, channels_last
        self._eval_batch_size = cfg.eval_batch_size

        indices = split_indices(
            len(raw.train.labels), None if raw.test is None else len(raw.test.labels)
        )
        pools = {"train": raw.train, "val": raw.train, "test": raw.test or raw.train}
        count = {
            split: first(
                cfg.subset if split == "train" else cfg.eval_subset,
                len(index),
                "data.subset" if split == "train" else "data.eval_subset",
                f"images of the {split} split of {raw.name}",
            )
            for split, index in indices.items()
        }
        pixels, self._labels = {}, {}
        for split, index in indices.items():
            pool, index = pools[split], index[: count[split]]
            pixels[split] = _resize(torch.from_numpy(pool.images[index]), cfg.image_size)
            self._labels[split] = torch.from_numpy(pool.labels[index].astype(np.int64)).to(device)
        sample = pixels["train"][:_STATISTICS_IMAGES]
        if len(sample) < min(_STATISTICS_IMAGES, len(indices["train"])):
            sample = _resize(
                torch.from_numpy(raw.train.images[indices["train"][:_STATISTICS_IMAGES]]),
                cfg.image_size,
            )
        styles = list(cfg.styles or ())
        if styles:
            pixels = {
                split: torch.from_numpy(restyle(images.numpy(), styles))
                for split, images in pixels.items()
            }

        self.num_train, height, width, channels = pixels["train"].shape
        self.input_shape = (channels, height, width)
        if cfg.batch_size > self.num_train:
            raise NormLabError(
                f"data.batch_size={cfg.batch_size} is larger than the training set of {self.num_train} images: "
                f"pass at most {self.num_train}."
            )
        padding = cfg.crop_padding if cfg.augment else 0
        if padding >= min(height, width):
            raise NormLabError(
                f"data.crop_padding={padding} leaves crops that show nothing of a {height}x{width} image: "
                f"pass at most {min(height, width) - 1}."
            )
        self._augment = bool(cfg.augment)
        self._batch_size = cfg.batch_size
        self._part = local_part(cfg.batch_size, rank, world_size)
        self._groups = _groups(cfg, raw.num_classes)
        self.steps_per_epoch = len(self._order(epoch_generator(seed, 0))) // cfg.batch_size
        if not self.steps_per_epoch:
            raise NormLabError(
                f"data.group_classes={cfg.group_classes} finds no batch of {cfg.batch_size} images in "
                f"{self.num_train}, for the smallest class ends each epoch: pass a larger subset or a smaller batch."
            )
        self._mean, self._scale = self._normalisation(sample)
        flip = self._augment and bool(cfg.flip)
        self._crops = {
            split: Crops(
                images,
                padding if split == "train" else 0,
                flip and split == "train",
                channels_last,
                device,
            )
            for split, images in pixels.items()
        }
        # Small batches are made several at a time and handed out as slices: at batch 2 calls cost more than work.
        self._local_batch = self._part.stop - self._part.start
        self._block_steps = max(1, _BLOCK_BYTES // (self._local_batch * height * width * channels))
        self._epoch, self._block = -1, (-1, -1)
        self.fingerprint = _fingerprint(
            raw.num_classes, pixels, self._labels, sample, self._augment, padding, flip
        )

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """x float32 (N, C, H, W) and y int64 (N,) of the 0-based training step `step`.

        Asked for again at once, a step returns the same memory: write into a copy of it.
        """
        epoch, step = divmod(step, self.steps_per_epoch)
        block, place = divmod(step, self._block_steps)
        if (epoch, block) != self._block:
            self._load(epoch, block)
        return self._batches[place]

    def eval_batches(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The split "train", "val" or "test" once, in its fixed order, as it is; the last batch may be smaller."""
        labels, crops = self._labels[split], self._crops[split]
        offsets = crops.centre(torch.arange(len(labels), device=self._device))
        for start in range(0, len(labels), self._eval_batch_size):
            part = slice(start, start + self._eval_batch_size)
            yield self._normalise(crops.gather(offsets[part])), labels[part]

    def _load(self, epoch: int, block: int) -> None:
        if epoch != self._epoch:
            self._start_epoch(epoch)
        images = self._block_steps * self._local_batch
        part = slice(block * images, (block + 1) * images)
        x = self._normalise(self._crops["train"].gather(self._offsets[part]))
        self._batches = list(
            zip(
                x.split(self._local_batch),
                self._targets[part].split(self._local_batch),
                strict=True,
            )
        )
        self._block = epoch, block

    def _start_epoch(self, epoch: int) -> None:
        # All that is random in an epoch is drawn here, on the CPU and from a generator of its own: the same on every
        # device, after a resume, and whatever else draws numbers.
        generator = epoch_generator(self._seed, epoch)
        order = self._order(generator)
        crops = self._crops["train"]
        offsets = crops.draw(order, generator) if self._augment else crops.centre(order)
        self._offsets = self._of_this_rank(offsets).to(self._device)
        self._targets = self._labels["train"][self._of_this_rank(order).to(self._device)]
        self._epoch = epoch

    def _order(self, generator: torch.Generator) -> Tensor:
        order = torch.randperm(self.num_train, generator=generator)
        if self._groups is None:
            return order
        return grouped_order(
            order, self._labels["train"].cpu(), self.num_outputs, *self._groups, generator
        )

    def _of_this_rank(self, values: Tensor) -> Tensor:
        whole = values[: self.steps_per_epoch * self._batch_size].view(-1, self._batch_size)
        return whole[:, self._part].reshape(-1)

    def _normalisation(self, images: Tensor) -> tuple[Tensor, Tensor]:
        width, channels = images.shape[2:]
        # Counting the 256 values is exact, so that no machine's order of summation gets into the pixels.
        counts = torch.stack(
            [torch.bincount(images[..., c].flatten(), minlength=256) for c in range(channels)]
        )
        weights, values = (
            counts / counts.sum(1, keepdim=True, dtype=torch.float64),
            torch.arange(256.0).double(),
        )
        mean = weights @ values
        variance = (weights * (values - mean[:, None]) ** 2).sum(1)
        scale = 1 / variance.sqrt().clamp_min(1.0)  # a channel without contrast is centred only
        shape = (width * channels,) if self._channels_last else (channels, 1, 1)
        repeats = width if self._channels_last else 1
        mean, scale = (
            v.float().repeat(repeats).view(shape).to(self._device) for v in (mean, scale)
        )
        return mean, scale

    def _normalise(self, pixels: Tensor) -> Tensor:
        x = pixels.float().sub_(self._mean).mul_(self._scale)
        if not self._channels_last:
            return x
        channels, height, width = self.input_shape
        return x.view(-1, height, width, channels).permute(0, 3, 1, 2)


def _groups(cfg: Any, num_classes: int) -> tuple[int, int] | None:
    """(samples, classes) of each group of consecutive training samples; None: no groups."""
    size, classes = cfg.group_size, cfg.group_classes
    if size is None and classes is None:
        return None
    if size is None or classes is None:
        raise NormLabError(
            "data.group_size and data.group_classes belong together: pass both, or neither."
        )
    if cfg.batch_size % size or size % classes or num_classes % classes:
        raise NormLabError(
            f"data.group_size={size} and data.group_classes={classes} do not fit: pass a size that divides the batch "
            f"of {cfg.batch_size} and a number of classes that divides the size and {num_classes}, all classes."
        )
    return size, classes


def _resize(images: Tensor, size: int | None) -> Tensor:
    """uint8 (N, H, W, C) to (N, size, size, C), bilinear with antialiasing: what PIL's resize does."""
    if size is None or images.shape[1:3] == (size, size):
        return images
    resized = F.interpolate(
        images.permute(0, 3, 1, 2), (size, size), mode="bilinear", antialias=True
    )
    return resized.permute(0, 2, 3, 1).contiguous()


def _fingerprint(
    num_classes: int,
    pixels: dict[str, Tensor],
    labels: dict[str, Tensor],
    sample: Tensor,
    *options: object,
) -> str:
    digest = hashlib.sha256(repr((num_classes, options)).encode())
    for split, images in pixels.items():
        digest.update(f"{split}{tuple(images.shape)}".encode())
        digest.update(images.contiguous().numpy().data)
        digest.update(labels[split].cpu().numpy().data)
    digest.update(sample.contiguous().numpy().data)
    return digest.hexdigest()[:12]
