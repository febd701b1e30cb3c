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
