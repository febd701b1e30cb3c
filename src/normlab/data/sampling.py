"""What batches of images and of text have in common: where their random numbers come from, and a rank's part."""

import numpy as np
import torch
from torch import Tensor

from normlab.errors import NormLabError


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A CPU generator for one epoch, independent of every other epoch's and of the global random state."""
    state = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def local_part(batch_size: int, rank: int, world_size: int) -> slice:
    """The contiguous `rank`-th part of a global batch; NormLabError where the ranks do not divide it."""
    if batch_size % world_size:
        raise NormLabError(
            f"data.batch_size={batch_size} is the global batch and does not divide among {world_size} processes: "
            f"pass a multiple of {world_size}."
        )
    local = batch_size // world_size
    return slice(rank * local, (rank + 1) * local)


def grouped_order(
    order: Tensor,
    labels: Tensor,
    num_classes: int,
    size: int,
    classes: int,
    generator: torch.Generator,
) -> Tensor:
    """`order` (n,) of images rearranged: every `size` consecutive ones show `classes` classes, equally many of each.

    All classes take turns, in an order drawn anew for each round, so that a batch of many groups is as mixed as the
    whole epoch. A class that has more images than the smallest one leaves some of them out, others in each epoch.
    `classes` must divide `size` and `num_classes`.
    """
    each = size // classes
    by_class = [order[labels[order] == number] for number in range(num_classes)]
    rounds = min(len(images) for images in by_class) // each
    pieces = torch.stack([images[: rounds * each].view(rounds, each) for images in by_class], dim=1)
    turns = [torch.randperm(len(by_class), generator=generator) for _ in range(rounds)]
    return torch.cat(
        [piece[turn].flatten() for piece, turn in zip(pieces, turns, strict=True)] or [order[:0]]
    )
