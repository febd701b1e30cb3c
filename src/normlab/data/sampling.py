"""What batches of images and of text have in common: where their random numbers come from, and a rank's part."""

import numpy as np
import torch

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
