"""A trained network for claims that measure it themselves: one training, many measurements.

Torch-free at import.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from normlab.training.setup import Setup


def train_network(
    overrides: Sequence[str],
    seed: int,
    adapt: "Callable[[nn.Module, tuple[int, ...]], object] | None" = None,
) -> "Setup":
    """What `python train.py <overrides> seed=<seed>` trains, on the CPU, without its record.

    The network is in eval mode. `adapt(model, input_shape)` changes the new network in place before
    the first step: to layers that no configuration has, say.
    """
    from normlab.config.compose import compose
    from normlab.training.setup import set_up

    setup = set_up(compose([*overrides, f"seed={seed}"]), adapt=adapt)
    setup.train()
    setup.model.eval()
    return setup
