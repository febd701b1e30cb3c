"""What batches of images and of text have in common: random numbers, and a process's part."""

import numpy as np
import torch
from torch import Tensor

from normlab.errors import NormLabError


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A CPU generator for one epoch, independent of all others and of the global random state."""
    # SeedSequence mixes the pair: seed + epoch would give seed 1 the second epoch of seed 0.
    state = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def local_part(batch_size: int, rank: int, world_size: int) -> slice:
    """The contiguous `rank`-th part of a global batch.

    Raises:
        NormLabError: the processes do not divide it.
    """
    if batch_size % world_size:
        raise NormLabError(
            f"data.batch_size={batch_size} is the global batch and does not divide among "
            f"{world_size} processes: pass a multiple of {world_size}."
        )
    local = batch_size // world_size
    return slice(rank * local, (rank + 1) * local)


def grouped_order(
    labels: Tensor, num_classes: int, size: int, classes: int, generator: torch.Generator
) -> Tensor:
    """Places among images of `labels` (n,): every `size` consecutive ones show `classes` classes.

    Equally many images of each, in the order in which `labels` has them. All classes take turns, in
    an order drawn anew for each round, so that a batch of many groups is as mixed as the whole
    epoch. A class that has more images than the smallest one leaves some of them out, others in
    each epoch. `classes` must divide `size` and `num_classes`.
    """
    each = size // classes
    by_class = [(labels == number).nonzero().flatten() for number in range(num_classes)]
    rounds = min(map(len, by_class)) // each
    if not rounds:
        return torch.empty(0, dtype=torch.int64)
    # (rounds, classes, images of one class in one group)
    pieces = torch.stack([places[: rounds * each].view(rounds, each) for places in by_class], dim=1)
    turns = [torch.randperm(num_classes, generator=generator) for _ in range(rounds)]
    return torch.cat([piece[turn].flatten() for piece, turn in zip(pieces, turns, strict=True)])
