"""A norm that lies elsewhere takes one step on a copy of its network, before the training."""

import copy
from typing import TYPE_CHECKING

import torch

from normlab.errors import NormLabError
from normlab.training.step import loss_of

if TYPE_CHECKING:
    from normlab.training.setup import Setup


def try_guest(setup: "Setup") -> None:
    """Return if the network of `setup` can be trained and evaluated on its first batch.

    In the layout, width, dtype, memory format and device of the training. Nothing is left behind:
    neither gradients nor statistics, nor numbers drawn.

    Raises:
        NormLabError: it cannot, with what the class raised.
    """
    model = copy.deepcopy(setup.model)
    x, y = setup.data.batch(0)
    devices = [x.device] if x.device.type == "cuda" else []
    try:
        with (
            torch.random.fork_rng(devices=devices),
            torch.autocast(x.device.type, torch.bfloat16, enabled=setup.bf16),
        ):
            loss = loss_of(model, x, y)
        loss.backward()
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            model.eval()(x)
    except NormLabError:
        raise
    except Exception as error:  # whatever a class of somebody else's raises
        target = setup.cfg.norm.options.get("target")
        raise NormLabError(
            f"norm.target={target} cannot be trained in model={setup.cfg.model.name} with "
            f"model.width={setup.cfg.model.width}: {type(error).__name__}: {error}; choose another "
            "width, precision or model, or correct the class."
        ) from None
