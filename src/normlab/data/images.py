"""Image data sets as byte tensors on the device, with their batches."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from normlab.data.augment import Crops
from normlab.data.image_sources import RawImages
from normlab.data.image_splits import split_images
from normlab.data.options import ImageDataConfig, ImageFolderConfig
from normlab.data.sampling import epoch_generator, grouped_order, local_part
from normlab.errors import NormLabError

_BLOCK_BYTES = 2**19


class ImageData:
    """An image data set in memory, as `normlab.data.Dataset` describes it.

    Pixels are normalised with the per-channel mean and standard deviation of the first 5,000 images
    of the training split (all of them where there are fewer), whatever the subset, so that a subset
    changes which images are seen and not what they look like; more images than that move neither by
    one per cent. Styles come after that: they do not move the mean and the standard deviation.

    Raises:
        NormLabError: a subset, batch, group, padding or size that does not fit the images.
    """

    modality = "image"

    def __init__(
        self,
        cfg: ImageDataConfig,
        raw: RawImages,
        seed: int,
        device: str | torch.device = "cpu",
        *,
        rank: int = 0,
        world_size: int = 1,
        channels_last: bool = False,
    ) -> None:
        self.name, self.num_outputs = raw.name, raw.num_classes
        self._seed, self._device, self._channels_last = seed, device, channels_last
        self._batch_size, self._eval_batch_size = cfg.batch_size, cfg.eval_batch_size
        self._augment = cfg.augment

        splits = split_images(cfg, raw)
        self._labels = {split: labels.to(device) for split, labels in splits.labels.items()}
        self.num_train, height, width, channels = splits.pixels["train"].shape
        self.input_shape = (channels, height, width)
        _check_fit(cfg, self.num_train, height, width)
        # The published sets have their classes in equal parts, but for what a subset happens to
        # draw; the classes of a folder of one's own may be of any size.
        self.trivial_loss = math.log(raw.num_classes)
        if isinstance(cfg, ImageFolderConfig):
            self.trivial_loss = _trivial_loss(splits.labels, raw.num_classes)

        self._part = local_part(cfg.batch_size, rank, world_size)
        self._groups = _groups(cfg, raw.num_classes)
        self.steps_per_epoch = self._count_steps(cfg.group_classes)
        self._mean, self._scale = self._normalisation(splits.sample)
        padding, flip = _crop_padding(cfg), cfg.augment and cfg.flip
        self._crops = {
            split: self._stored(images, padding, flip) if split == "train" else self._stored(images)
            for split, images in splits.pixels.items()
        }
        # Small batches are made several at a time and handed out as slices: at batch 2 calls cost
        # more than work.
        self._local_batch = self._part.stop - self._part.start
        self._block_steps = max(1, _BLOCK_BYTES // (self._local_batch * height * width * channels))
        self._epoch, self._block = -1, (-1, -1)
        self.fingerprint = splits.fingerprint(raw.num_classes, self._augment, padding, flip)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """x float32 (N, C, H, W) and y int64 (N,) of the 0-based training step `step`.

        Asked for again at once, a step returns the same memory: write into a copy of it.
        """
        epoch, step = divmod(step, self.steps_per_epoch)
        block, place = divmod(step, self._block_steps)
        if (epoch, block) != self._block:
            self._load(epoch, block)
        return self._batches[place]  # type: ignore[no-any-return]

    def eval_batches(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The split "train", "val" or "test" once, in its fixed order, unaugmented.

        The last batch may be smaller.
        """
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
        xs, ys = x.split(self._local_batch), self._targets[part].split(self._local_batch)
        self._batches: list[tuple[Tensor, Tensor]] = list(zip(xs, ys, strict=True))
        self._block = epoch, block

    def _start_epoch(self, epoch: int) -> None:
        # All that is random in an epoch is drawn here, on the CPU and from a generator of its own:
        # the same on every device, after a resume, and whatever else draws numbers.
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
        size, classes = self._groups
        # Grouped from a shuffled order: which images a large class leaves out changes by epoch.
        labels = self._labels["train"].cpu()[order]
        return order[grouped_order(labels, self.num_outputs, size, classes, generator)]

    def _of_this_rank(self, values: Tensor) -> Tensor:
        # (steps, batch), of which each process takes the same columns of every row.
        whole = values[: self.steps_per_epoch * self._batch_size].view(-1, self._batch_size)
        return whole[:, self._part].reshape(-1)

    def _count_steps(self, group_classes: int | None) -> int:
        # The first epoch stands for all: how many images groups leave does not depend on the order.
        steps = len(self._order(epoch_generator(self._seed, 0))) // self._batch_size
        if not steps:
            raise NormLabError(
                f"data.group_classes={group_classes} finds no batch of {self._batch_size} images "
                f"in {self.num_train}, for the smallest class ends each epoch: pass a larger "
                "subset or a smaller batch."
            )
        return steps

    def _stored(self, images: Tensor, padding: int = 0, flip: bool = False) -> Crops:
        return Crops(images, padding, flip, self._channels_last, self._device)

    def _normalisation(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, and 1 / standard deviation, of `images` in the shape that pixels have here."""
        width, channels = images.shape[2:]
        # Counting the 256 values is exact, so that no machine's order of summation gets into the
        # pixels.
        counts = torch.stack(
            [torch.bincount(images[..., c].flatten(), minlength=256) for c in range(channels)]
        )
        weights = counts / counts.sum(1, keepdim=True, dtype=torch.float64)
        values = torch.arange(256.0).double()
        mean = weights @ values
        variance = (weights * (values - mean[:, None]) ** 2).sum(1)
        scale = 1 / variance.sqrt().clamp_min(1.0)  # a channel without contrast is centred only
        return self._spread(mean, width), self._spread(scale, width)

    def _spread(self, value: Tensor, width: int) -> Tensor:
        """(C,) to float32 (C, 1, 1), or with channels_last to (W * C,)."""
        value = value.float().to(self._device)
        # A gathered row is (W * C,), channels fastest: the C values once for each pixel.
        return value.repeat(width) if self._channels_last else value.view(-1, 1, 1)

    def _normalise(self, pixels: Tensor) -> Tensor:
        x = pixels.float().sub_(self._mean).mul_(self._scale)
        if not self._channels_last:
            return x
        channels, height, width = self.input_shape
        # A view: (N, C, H, W) to read, channels last in memory.
        return x.view(-1, height, width, channels).permute(0, 3, 1, 2)


def _trivial_loss(labels: dict[str, Tensor], num_classes: int) -> float:
    """Nats a validation image under the frequencies of the training labels, as of other data."""
    counts = torch.bincount(labels["train"], minlength=num_classes)
    if bool((counts == counts[0]).all()):
        return math.log(num_classes)
    # One is added to each count, so that no class is impossible.
    frequency = (counts + 1).double() / (counts + 1).sum()
    return float(-frequency.log()[labels["val"]].mean())


def _crop_padding(cfg: ImageDataConfig) -> int:
    return cfg.crop_padding if cfg.augment else 0


def _check_fit(cfg: ImageDataConfig, num_train: int, height: int, width: int) -> None:
    if cfg.batch_size > num_train:
        raise NormLabError(
            f"data.batch_size={cfg.batch_size} is larger than the training set of {num_train} "
            f"images: pass at most {num_train}."
        )
    padding = _crop_padding(cfg)
    if padding >= min(height, width):
        raise NormLabError(
            f"data.crop_padding={padding} leaves crops that show nothing of a {height}x{width} "
            f"image: pass at most {min(height, width) - 1}."
        )


def _groups(cfg: ImageDataConfig, num_classes: int) -> tuple[int, int] | None:
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
            f"data.group_size={size} and data.group_classes={classes} do not fit: pass a size that "
            f"divides the batch of {cfg.batch_size} and a number of classes that divides the size "
            f"and {num_classes}, all classes."
        )
    return size, classes
