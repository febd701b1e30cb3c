"""Which images are for training, validation and testing: fixed once, whatever the run's seed is."""

import numpy as np
from numpy.typing import NDArray

from normlab.errors import NormLabError

_SPLIT_SEED = 0


def fixed_order(n: int) -> NDArray[np.int64]:
    """A permutation of range(n) that never changes.

    RandomState's stream is frozen across NumPy versions.
    """
    return np.random.RandomState(_SPLIT_SEED).permutation(n)


def split_indices(num_images: int, num_test: int | None) -> dict[str, NDArray[np.int64]]:
    """Indices of the train, val and test splits, each in its fixed order.

    With a published test set of `num_test` images, a tenth of the training images becomes the
    validation split (5,000 of CIFAR's 50,000) and "test" indexes the test set; without one (None),
    validation and test are 15 % each.
    """
    order = fixed_order(num_images)
    if num_test is not None:
        held_out = max(1, num_images // 10)
        return {"train": order[held_out:], "val": order[:held_out], "test": fixed_order(num_test)}
    held_out = max(1, round(0.15 * num_images))
    return {
        "train": order[2 * held_out :],
        "val": order[:held_out],
        "test": order[held_out : 2 * held_out],
    }


def stratified_indices(labels: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Indices of the train, val and test splits, each class in its share, in a fixed order.

    Validation and test are 15 % each of the images and of every class, up to one image; of a class
    of three or more, at least one. A smaller class is for training. Classes take turns in every
    split, so that the beginning of one is as mixed as the whole.
    """
    order = fixed_order(len(labels))
    parts: dict[str, list[NDArray[np.int64]]] = {"train": [], "val": [], "test": []}
    classes, counts = np.unique(labels, return_counts=True)
    for label, held_out in zip(classes, _held_out(counts), strict=True):
        own = order[labels[order] == label]
        val, test, train = np.split(own, [held_out, 2 * held_out])
        for split, part in (("train", train), ("val", val), ("test", test)):
            parts[split].append(part)
    return {split: _in_turn(own) for split, own in parts.items()}


def _held_out(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of classes with `counts` images, how many of each are for validation, and for testing."""
    wanted = 0.15 * counts
    held_out = np.where(counts > 2, np.maximum(1, np.floor(wanted)), 0).astype(np.int64)
    # What rounding down has left goes where most of an image is missing.
    missing = max(0, round(0.15 * int(counts.sum())) - int(held_out.sum()))
    remainder = np.where(counts > 2, wanted - held_out, -1)
    held_out[np.argsort(-remainder, kind="stable")[:missing]] += 1
    return np.minimum(held_out, (counts - 1) // 2)


def _in_turn(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All of `parts`, in which any piece of the whole has each in its share."""
    places = np.concatenate([(np.arange(len(part)) + 0.5) / max(len(part), 1) for part in parts])
    return np.concatenate(parts)[places.argsort(kind="stable")]


def first(k: int | None, available: int, option: str, what: str) -> int:
    """How many are used when `option` asks for `k`: all of them (None), or k.

    Raises:
        NormLabError: there are fewer.
    """
    if k is None:
        return available
    if k > available:
        raise NormLabError(
            f"{option}={k} asks for more than the {available} {what}: pass at most {available}."
        )
    return k
