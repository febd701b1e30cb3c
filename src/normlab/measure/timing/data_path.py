"""Training batches of ours against a torch DataLoader with torchvision transforms, images per
CPU-second.

Both sides crop with 4 pixels of zero padding, flip, normalise and batch the same 32x32x3 images on
one thread; the baseline is the one that tutorials show (PIL images, num_workers=0). CPU time and
not wall-clock time is compared, because that is what either side takes away from training on a busy
machine.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

import normlab.models.torchvision_operators  # noqa: F401
from normlab.data.availability import is_here
from normlab.data.image_sources import Pool, RawImages, read_images
from normlab.data.images import ImageData
from normlab.data.options import ImageDataConfig
from normlab.measure.timing.harness import CONTROL_TOLERANCE

_BASELINE_IMAGES = 2000
_BATCH_SIZES = (2, 64, 128)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """One row per batch size and baseline; `ratio` is ours / baseline, with its quartiles over
    interleaved rounds.

    `control` is the baseline's CPU time against itself in the same rounds: 1 up to noise.
    """
    if is_here("cifar10"):
        raw = read_images(ImageDataConfig(name="cifar10"))
    else:
        # The work does not depend on what the bytes are.
        draw = np.random.default_rng(0)
        pool = Pool(
            draw.integers(0, 256, (10_000, 32, 32, 3), dtype=np.uint8), draw.integers(0, 10, 10_000)
        )
        raw = RawImages("random 32x32x3 bytes", 10, pool)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            _row(
                raw,
                batch_size,
                baseline,
                rounds=3 if quick else 15,
                images=_BATCH_SIZES[-1] if quick else _BASELINE_IMAGES,
            )
            for batch_size in _BATCH_SIZES
            for baseline in (_Transformed, _Decoded)
        ]
    finally:
        torch.set_num_threads(threads)


def _row(
    raw: RawImages,
    batch_size: int,
    baseline: "type[_Transformed | _Decoded]",
    rounds: int,
    images: int,
) -> dict[str, Any]:
    data = ImageData(ImageDataConfig(name="cifar10", batch_size=batch_size), raw, seed=0)
    loader = torch.utils.data.DataLoader(
        baseline(raw.train, images), batch_size, shuffle=True, drop_last=True
    )
    # Long enough for the clock; an epoch's set-up is in it, as it is in theirs.
    steps = 10 * (images // batch_size)
    position = 0

    def theirs() -> Iterator[Any]:
        for _ in range(baseline.epochs):
            yield from loader

    def ours() -> Iterator[Any]:
        nonlocal position
        for step in range(position, position + steps):
            yield data.batch(step)
        position += steps

    first: list[float] = []
    mine: list[float] = []
    second: list[float] = []
    for round_ in range(rounds + 1):
        sides = [(theirs, first), (ours, mine), (theirs, second)]
        for side in range(3):
            batches, seconds = sides[(side + round_) % 3]
            seconds.append(_cpu_seconds_an_image(batches))
    # The first round warms up.
    times = _times(first[1:], mine[1:], second[1:])
    return {
        "benchmark": "data-path",
        "subject": "ImageData.batch, crop and flip",
        "baseline": baseline.title,
        "batch_size": batch_size,
        **times,
        "goal": baseline.goal,
        "rounds": rounds,
        "data": raw.name,
        "device": "cpu",
        "dtype": "float32",
        "layout": "NCHW",
        "threads": 1,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }


def _times(first: list[float], mine: list[float], second: list[float]) -> dict[str, Any]:
    """Ratios of CPU seconds, by round: the baseline's, before and after, over ours."""
    ratios = [(a + b) / (2 * m) for a, m, b in zip(first, mine, second, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4)
    control = statistics.median(a / b for a, b in zip(first, second, strict=True))
    return {
        "ratio": median,
        "ratio_low": low,
        "ratio_high": high,
        "control": control,
        "void": abs(control - 1) > CONTROL_TOLERANCE,
        "ours_images_per_cpu_s": 1 / statistics.median(mine),
        "baseline_images_per_cpu_s": 1 / statistics.median(first + second),
    }


def _cpu_seconds_an_image(batches: Callable[[], Iterator[Any]]) -> float:
    count, start = 0, time.process_time()
    for x, _ in batches():
        count += len(x)
    return (time.process_time() - start) / count


class _Transformed(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """PIL images with the transforms of the usual CIFAR tutorial."""

    title = "DataLoader + torchvision transforms on PIL images"
    goal = ">= 50, 20 at the least"
    epochs = 1

    def __init__(self, pool: Pool, images: int) -> None:
        from PIL import Image
        from torchvision import transforms

        self.images = [Image.fromarray(np.asarray(pixels)) for pixels in pool.images[:images]]
        self.labels = pool.labels[:images].tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[i]), self.labels[i]


class _Decoded(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Tensors and no work on them: what a DataLoader costs at the least."""

    title = "DataLoader over decoded tensors, not augmented"
    goal = None
    # Without work on the images an epoch is too short for the clock.
    epochs = 10

    def __init__(self, pool: Pool, images: int) -> None:
        pixels = torch.from_numpy(pool.images[:images].copy()).permute(0, 3, 1, 2)
        self.images = pixels.float().div_(255).contiguous()
        self.labels = pool.labels[:images].tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.images[i], self.labels[i]
