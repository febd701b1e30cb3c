"""The plain inner step: what a bare PyTorch loop would do, and nothing else."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy in nats, in fp32; outputs (N, classes) and (N, T, vocabulary) alike.

    Targets of -100, tokens that are not to be predicted, do not count.
    """
    return F.cross_entropy(model(x).flatten(0, -2).float(), y.flatten())


def train_steps(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: Callable[[int], float],
    batch: Callable[[int], tuple[Tensor, Tensor]],
    first: int,
    count: int,
    accumulate: int = 1,
    clip_norm: float | None = None,
    bf16: bool = False,
    backward: Callable[[Tensor], Any] = Tensor.backward,
) -> Tensor:
    """Optimizer steps `first` .. `first + count - 1`, each over `accumulate` batches; their losses, shape (count,).

    Nothing is read back from the device, so a GPU is never waited for inside a chunk.
    """
    device_type = next(model.parameters()).device.type
    losses = []
    for step in range(first, first + count):
        lr = rate(step)
        for group in optimizer.param_groups:
            group["lr"] = lr
        total = None
        for micro in range(accumulate):
            x, y = batch(step * accumulate + micro)
            if bf16:
                with torch.autocast(device_type, torch.bfloat16):
                    loss = loss_of(model, x, y)
            else:
                loss = loss_of(model, x, y)
            if accumulate > 1:
                loss = loss / accumulate
            backward(loss)
            total = loss.detach() if total is None else total + loss.detach()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(total)
    return torch.stack(losses)  # type: ignore[arg-type]


@torch.inference_mode()
def evaluate(
    model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], bf16: bool = False
) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy) in eval mode over all of `batches`; the model's mode is restored."""
    training = model.training
    model.eval()
    device_type = next(model.parameters()).device.type
    loss_sum, correct, count = 0.0, 0.0, 0
    for x, y in batches:
        with torch.autocast(device_type, torch.bfloat16, enabled=bf16):
            logits = model(x).flatten(0, -2).float()
        targets = y.flatten()
        loss_sum = loss_sum + F.cross_entropy(logits, targets, reduction="sum").double()  # type: ignore[assignment]
        correct = correct + (logits.argmax(1) == targets).sum()  # type: ignore[assignment]
        count = count + (targets >= 0).sum()  # type: ignore[assignment]
    model.train(training)
    return float(loss_sum) / int(count), float(correct) / int(count)
