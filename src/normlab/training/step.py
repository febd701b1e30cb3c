"""The plain inner step: what a bare PyTorch loop would do, and nothing else."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy in nats, in fp32.

    Outputs are (N, classes) or (N, T, vocabulary). Targets of -100, tokens that are not to be
    predicted, do not count.
    """
    return F.cross_entropy(model(x).flatten(0, -2).float(), y.flatten())


def train_steps(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: Callable[[int], float],
    batch: Callable[[int], tuple[Tensor, Tensor]],
    steps: range,
    *,
    accumulate: int = 1,
    clip_norm: float | None = None,
    bf16: bool = False,
    backward: Callable[[Tensor], Any] = Tensor.backward,
) -> Tensor:
    """Optimizer steps, each over `accumulate` batches; their losses in nats, shape (steps,).

    Nothing is read back from the device, so a GPU is never waited for inside a chunk.
    """
    device_type = next(model.parameters()).device.type
    losses = []
    for step in steps:
        lr = rate(step)
        # Set and not stepped by a scheduler: a function of the step alone, after a resume too.
        for group in optimizer.param_groups:
            group["lr"] = lr
        total: Tensor | None = None
        for index in range(step * accumulate, (step + 1) * accumulate):
            x, y = batch(index)
            if bf16:
                with torch.autocast(device_type, torch.bfloat16):
                    loss = loss_of(model, x, y)
            else:
                loss = loss_of(model, x, y)
            # Gradients add up over batches: divided, their sum is the mean's.
            if accumulate > 1:
                loss = loss / accumulate
            backward(loss)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None, "no batch was accumulated"
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        # To None: the next backward writes instead of adding, and no zeros are filled in.
        optimizer.zero_grad(set_to_none=True)
        losses.append(total)
    return torch.stack(losses)


@torch.inference_mode()
def evaluate(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], bf16: bool = False
) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy) in eval mode over all of `batches`.

    The model's mode is restored.
    """
    training = model.training
    model.eval()
    device_type = next(model.parameters()).device.type
    # They become tensors, which are read back from the device once, at the end.
    loss_sum: float | Tensor = 0.0
    correct: float | Tensor = 0.0
    count: int | Tensor = 0
    for x, y in batches:
        with torch.autocast(device_type, torch.bfloat16, enabled=bf16):
            logits = model(x).flatten(0, -2).float()
        targets = y.flatten()
        # In float64: float32 has 7 digits, few for a sum over a split.
        loss_sum = loss_sum + F.cross_entropy(logits, targets, reduction="sum").double()
        correct = correct + (logits.argmax(1) == targets).sum()
        count = count + (targets >= 0).sum()
    model.train(training)
    return float(loss_sum) / int(count), float(correct) / int(count)
