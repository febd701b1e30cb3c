"""A trained text model on sequences longer than those that it was trained on."""

import copy

import torch
import torch.nn.functional as F

from normlab.data import load_data
from normlab.training.task import Task


@torch.inference_mode()
def twice_context(task: Task) -> dict[str, float]:
    """On test windows of twice the context T: `within_test_loss` at its first T characters, `beyond_test_loss` at the
    next T, in nats. Nothing for images, and for a model that cannot read more than its context.
    """
    if task.data.modality != "text" or hasattr(task.model, "context"):
        return {}
    cfg = copy.deepcopy(task.cfg.data)
    cfg.context *= 2
    data = load_data(cfg, task.cfg.seed, next(task.model.parameters()).device)
    model = copy.deepcopy(task.model).eval()
    losses = []
    for x, y in data.eval_batches("test"):
        with torch.autocast(x.device.type, torch.bfloat16, enabled=task.bf16):
            logits = model(x).float()
        losses.append(
            F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y)
        )
    by_position = torch.cat(losses).double().mean(0)  # (2 T,)
    within, beyond = by_position.chunk(2)
    return {"within_test_loss": float(within.mean()), "beyond_test_loss": float(beyond.mean())}
