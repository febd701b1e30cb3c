"""A trained text model on sequences longer than those that it was trained on."""

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F

from normlab.data import Dataset, load_data
from normlab.data.options import TextDataConfig
from normlab.training.setup import Setup


def with_twice_the_context(setup: Setup) -> Dataset | None:
    """The data of `setup` in windows of twice the context; None where they cannot be read.

    Raises:
        NormLabError: the text is too short.
    """
    cfg = setup.cfg.data
    if not isinstance(cfg, TextDataConfig) or hasattr(setup.model, "context"):
        return None
    twice = replace(cfg, context=2 * cfg.context)
    return load_data(twice, setup.cfg.seed, next(setup.model.parameters()).device)


@torch.inference_mode()
def twice_context(setup: Setup) -> dict[str, float]:
    """On test windows of twice the context T, the loss at the first T characters and at the next T.

    In nats: `within_test_loss` and `beyond_test_loss`. Nothing for images, and for a model that
    cannot read more than its context.
    """
    data = with_twice_the_context(setup)
    if data is None:
        return {}
    model = copy.deepcopy(setup.model).eval()
    losses = []
    for x, y in data.eval_batches("test"):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=setup.bf16):
            logits = model(x).float()
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
        losses.append(loss.view_as(y))  # (windows, 2 T)
    # Both halves are of the same windows, so that only the position differs.
    by_position = torch.cat(losses).double().mean(0)  # (2 T,)
    within, beyond = by_position.chunk(2)
    return {"within_test_loss": float(within.mean()), "beyond_test_loss": float(beyond.mean())}
